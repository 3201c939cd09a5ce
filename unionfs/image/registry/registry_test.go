package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/overlay2"
	"cutaway/unionfs/image"
	"cutaway/unionfs/image/registry"
)

func openDriver(home string) (unionfs.Driver, error) {
	return overlay2.Open(home, overlay2.Options{Parameters: "/sys/module/overlay/parameters"})
}

func TestMain(m *testing.M) { contract.Main(m, openDriver) }

func newStore(t *testing.T) *image.Store {
	t.Helper()
	needs.Root(t)
	return openStore(t, contract.TempDir(t))
}

func openStore(t *testing.T, root string) *image.Store {
	t.Helper()
	d, err := openDriver(filepath.Join(root, "overlay2"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(root, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// build makes an image on base with one layer for each name.
func build(t *testing.T, s *image.Store, base *image.Image, names ...string) *image.Image {
	t.Helper()
	b := s.NewBuilder(base, time.Unix(1_700_000_000, 0))
	for _, n := range names {
		b.AddFiles("ADD "+n, []image.File{{Name: n, Mode: 0o644, Data: bytes.Repeat([]byte(n), 50_000)}})
	}
	img, err := b.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// server is a registry in this process that counts layer downloads and can
// damage or cut what it sends.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	blobs int
	spoil func(http.ResponseWriter) http.ResponseWriter
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			s.mu.Lock()
			s.blobs++
			if s.spoil != nil {
				w = s.spoil(w)
			}
			s.mu.Unlock()
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) ref(t *testing.T, name string) image.Reference {
	t.Helper()
	return parse(t, strings.TrimPrefix(s.URL, "http://")+"/"+name)
}

func parse(t *testing.T, name string) image.Reference {
	t.Helper()
	r, err := image.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// note keeps the last state of every layer.
func note() (registry.Report, func() string) {
	last := make(map[string]registry.State)
	var order []string
	return func(p registry.Progress) {
			if _, ok := last[p.Layer.String()]; !ok {
				order = append(order, p.Layer.String())
			}
			last[p.Layer.String()] = p.State
		}, func() string {
			var b strings.Builder
			for _, l := range order {
				fmt.Fprintf(&b, "%s. ", last[l])
			}
			return strings.TrimSpace(b.String())
		}
}

func TestPushPull(t *testing.T) {
	srv := newServer(t)
	pushPull(t, srv.ref(t, "demo/app:v1"), srv.ref(t, "demo/app:v2"))
}

// pushPull is the story for any registry: push, pull elsewhere, again, by
// digest, and a second image that shares layers.
func pushPull(t *testing.T, one, two image.Reference) {
	t.Helper()
	ctx := context.Background()
	from, to := newStore(t), newStore(t)
	base := build(t, from, nil, "a", "b")
	report, said := note()
	d, err := registry.Push(ctx, from, base, one, registry.Options{Report: report})
	if err != nil || said() != "Pushed. Pushed." {
		t.Fatalf("Push = %v, reports %q; want both layers pushed", err, said())
	}
	report, said = note()
	p, err := registry.Pull(ctx, to, one, registry.Options{Report: report})
	if err != nil || p.Image.ImageID != base.ImageID || p.Manifest != d || p.Fetched != 2 || said() != "Pull complete. Pull complete." {
		t.Fatalf("Pull = %+v, %v, reports %q; want image %s, manifest %s, 2 layers fetched", p, err, said(), base.ImageID, d)
	}
	report, said = note()
	if p, err = registry.Pull(ctx, to, one, registry.Options{Report: report}); err != nil || p.Fetched != 0 || said() != "Already exists. Already exists." {
		t.Errorf("second Pull fetched %d layers, %v, reports %q; want 0, already there", p.Fetched, err, said())
	}
	more := build(t, from, base, "c")
	report, said = note()
	if _, err := registry.Push(ctx, from, more, two, registry.Options{Report: report}); err != nil || said() != "Layer already exists. Layer already exists. Pushed." {
		t.Errorf("Push on a shared base: %v, reports %q", err, said())
	}
	if left, _ := os.ReadDir(filepath.Join(from.Root(), "tmp")); len(left) > 0 {
		t.Errorf("Push leaves %v in tmp; want nothing", left)
	}
	if p, err = registry.Pull(ctx, to, two, registry.Options{}); err != nil || p.Fetched != 1 || p.Image.ImageID != more.ImageID {
		t.Errorf("Pull on a shared base = %+v, %v; want 1 layer fetched", p, err)
	}
	byDigest := one
	byDigest.Tag, byDigest.Digest = "", d
	fresh := newStore(t)
	if p, err = registry.Pull(ctx, fresh, byDigest, registry.Options{}); err != nil || p.Image.ImageID != base.ImageID {
		t.Errorf("Pull by digest = %+v, %v; want image %s", p, err, base.ImageID)
	}
	if got, err := fresh.Resolve(byDigest.Name()); err != nil || got.ImageID != base.ImageID {
		t.Errorf("Resolve(%s) = %v; want the image", byDigest.Name(), err)
	}
}

// TestDebianRegistry is the same story with the registry that Docker made.
func TestDebianRegistry(t *testing.T) {
	needs.Program(t, "docker-registry", "docker-registry")
	dir := contract.TempDir(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n", dir, addr)
	if err := os.WriteFile(filepath.Join(dir, "cutaway.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // Pdeathsig follows the thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("docker-registry", "serve", filepath.Join(dir, "cutaway.yml"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	pushPull(t, parse(t, addr+"/demo/app:v1"), parse(t, addr+"/demo/app:v2"))
}

// spoiled passes a response on through change.
type spoiled struct {
	http.ResponseWriter
	change func([]byte) []byte
}

func (s spoiled) Write(b []byte) (int, error) {
	_, err := s.ResponseWriter.Write(s.change(b))
	return len(b), err
}

// TestBadTransfers: wrong digests, cut connections and missing things leave the
// store as it was.
func TestBadTransfers(t *testing.T) {
	flip := func(b []byte) []byte {
		c := bytes.Clone(b)
		c[len(c)/2] ^= 1
		return c
	}
	cut := func(b []byte) []byte { panic(http.ErrAbortHandler) }
	for what, change := range map[string]func([]byte) []byte{"a flipped bit": flip, "a cut connection": cut} {
		t.Run(what, func(t *testing.T) {
			srv := newServer(t)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			from, to := newStore(t), newStore(t)
			ref := srv.ref(t, "app:v1")
			if _, err := registry.Push(context.Background(), from, build(t, from, nil, "a", "b", "c"), ref, registry.Options{}); err != nil {
				t.Fatal(err)
			}
			// The configuration and the first layers pass; a later blob is spoiled.
			n := 0
			srv.spoil = func(w http.ResponseWriter) http.ResponseWriter {
				if n++; n < 4 {
					return w
				}
				return spoiled{w, change}
			}
			before := listing(t, to.Root())
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if p, err := registry.Pull(ctx, to, ref, registry.Options{Parallel: 1}); err == nil {
				t.Errorf("Pull with %s = %+v; want an error", what, p)
			}
			if after := listing(t, to.Root()); after != before {
				t.Errorf("store after %s:\n%swant as before:\n%s", what, after, before)
			}
		})
	}
}

// TestFullDisk pulls an image onto a disk that has room for its first layer only:
// the disk is full in the middle of a download, or of unpacking.
func TestFullDisk(t *testing.T) {
	srv, from := newServer(t), newStore(t)
	noise := make([]byte, 4<<20) // such as does not compress
	rand.Read(noise)
	b := from.NewBuilder(build(t, from, nil, "small"), time.Unix(1_700_000_000, 0))
	b.AddFiles("ADD noise", []image.File{{Name: "noise", Mode: 0o644, Data: noise}})
	b.AddFiles("ADD much", []image.File{{Name: "much", Mode: 0o644, Data: bytes.Repeat([]byte("much"), 4<<20)}})
	img, err := b.Commit()
	if err != nil {
		t.Fatal(err)
	}
	ref := srv.ref(t, "app:v1")
	if _, err := registry.Push(context.Background(), from, img, ref, registry.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"2m", "6m", "12m"} { // in the download, in the second layer, in the third
		t.Run(size, func(t *testing.T) {
			dir := contract.TempDir(t)
			contract.Command(t, "mount", "-t", "tmpfs", "-o", "size="+size, "cutaway", dir)
			t.Cleanup(func() { contract.Command(t, "umount", dir) })
			to := openStore(t, dir)
			before := listing(t, dir)
			if p, err := registry.Pull(context.Background(), to, ref, registry.Options{}); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("Pull onto a full disk = %+v, %v; want ENOSPC", p, err)
			}
			if after := listing(t, dir); after != before {
				t.Errorf("store after a full disk:\n%swant as before:\n%s", after, before)
			}
		})
	}
}

func TestErrorsSayWhy(t *testing.T) {
	srv := newServer(t)
	s := newStore(t)
	for name, want := range map[string]string{
		strings.TrimPrefix(srv.URL, "http://") + "/nothing:v1": "no such image or tag",
		"127.0.0.1:1/app:v1": "nothing listens there",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, err := registry.Pull(ctx, s, parse(t, name), registry.Options{})
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Pull(%s) = %v; want an error that says %q", name, err, want)
		}
	}
}

func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	filepath.WalkDir(root, func(path string, _ fs.DirEntry, _ error) error {
		b.WriteString(strings.TrimPrefix(path, root) + "\n")
		return nil
	})
	return b.String()
}
