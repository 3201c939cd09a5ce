package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

func writeTar(t *testing.T, path string, names ...string) {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range names {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}); err != nil {
			t.Fatal(err)
		}
		tw.Write([]byte(name))
	}
	tw.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// stateOf lists the files of a state root with their sizes.
func stateOf(t *testing.T, root string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil && fi.Mode().IsRegular() {
			list = append(list, fmt.Sprintf("%s %d", path[len(root):], fi.Size()))
		} else {
			list = append(list, path[len(root):])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestBadImageInput: each is refused in one clear line, and the store is as it
// was.
func TestBadImageInput(t *testing.T) {
	s := newStoreSession(t)
	s.ok("pull", "-q", "box")
	dir := t.TempDir()
	host := strings.TrimPrefix(brokenRegistry(t), "http://")
	good := filepath.Join(dir, "good.tar")
	s.ok("save", "-o", good, "box")
	archives := badArchives(t, dir, good)
	s.ok("rmi", "box") // a layer that is here would not be read from an archive
	before := stateOf(t, s.root())
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"image inspect nope", "No such image: nope", 1},
		{"history nope", "No such image: nope", 1},
		{"tag nope x:y", "No such image: nope", 1},
		{"save -o " + dir + "/out nope", "No such image: nope", 1},
		{"tag box UPPER", "invalid reference format", 1},
		{"tag box a@sha256:" + strings.Repeat("0", 64), "refusing to create a tag with a digest reference", 1},
		{"pull bad//name", "invalid reference format", 1},
		{"pull " + host + "/missing", "no such image or tag in the registry", 1},
		{"pull " + host + "/garbage", "pull " + host + "/garbage", 1},
		{"pull 127.0.0.1:1/x", "nothing listens there", 1},
		{"pull --platform windows/amd64 x", "want linux/ARCHITECTURE", 1},
		{"load -i " + archives + "/empty", "neither manifest.json", 1},
		{"load -i " + archives + "/cut", "unexpected EOF", 1},
		{"load -i " + archives + "/damaged", "", 1},
		{"load -i " + archives + "/tree", "neither manifest.json", 1},
		{"load -i " + archives + "/bomb", "", 1},
		{"load -i " + archives + "/escape", "", 1},
		{"load -i /nonexistent", "no such file", 1},
		{"import " + archives + "/bomb", "", 1},
		{"import -c FROM=x " + archives + "/tree", "", 1},
		{"image ls --filter size=3", "invalid filter", 1},
		{"images --format {{", "template parsing error", 1},
		{"image ls a b", "requires at most 1 argument", 1},
		{"rmi", "requires at least 1 argument", 1},
		{"tag one", "requires 2 arguments", 1},
		{"images --nope", "unknown flag: --nope", 125},
		{"--storage-driver floppy images", `storage driver "floppy": want one of`, 1},
		{"--storage-driver zfs images", "zfs.fsname", 1},
	} {
		r := s.run(strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) || r.stderr == "" || strings.Contains(r.stderr, "goroutine") {
			t.Errorf("cutaway %s = %d, %q; want %d, %q", c.args, r.code, r.stderr, c.code, c.want)
		}
		if diff := cmp.Diff(before, stateOf(t, s.root())); diff != "" {
			t.Errorf("cutaway %s changed the store (-before +after):\n%s", c.args, diff)
		}
	}
}

// brokenRegistry answers garbage for one image and nothing for others.
func brokenRegistry(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case strings.HasPrefix(r.URL.Path, "/v2/garbage/"):
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
			fmt.Fprint(w, `{"schemaVersion":2,"config":`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// badArchives makes files that no load may take.
func badArchives(t *testing.T, dir, good string) string {
	t.Helper()
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 0xff // amid a layer
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	tw := tar.NewWriter(zip)
	tw.WriteHeader(&tar.Header{Name: "big", Mode: 0o644, Size: 1 << 40})
	tw.Write(make([]byte, 64<<20))
	zip.Close()
	for name, data := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)/2], "damaged": damaged, "bomb": bomb.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeTar(t, filepath.Join(dir, "tree"), "etc/motd")
	writeTar(t, filepath.Join(dir, "escape"), "../../escaped")
	return dir
}

// TestFullDisk: a pull that fills the disk is taken back, and the disk is as
// empty as before.
func TestFullDisk(t *testing.T) {
	s := newStoreSession(t)
	root := s.root()
	script := `mkdir -p ` + root + ` && mount -t tmpfs -o size=1m cutaway-test ` + root + ` && "$0" images -q && "$0" tag box x; "$0" pull box; echo code $?; find ` + root + ` -type f`
	cmd := exec.Command("sh", "-c", script, executable())
	cmd.Env = append(os.Environ(), actAsProgram+"=1", "CUTAWAY_ROOT="+root, "CUTAWAY_RUN_DIR="+s.runDir)
	attr := *s.attr
	cmd.SysProcAttr = &attr
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text := string(out); !strings.Contains(text, "no space left on device") || !strings.HasSuffix(text, "code 1\n") {
		t.Errorf("a pull on a disk of 1 MiB = %s; want ENOSPC, code 1, and no file left", text)
	}
}

// TestInterruptedPull: Ctrl-C amid a download leaves the store as it was.
func TestInterruptedPull(t *testing.T) {
	s := newStoreSession(t)
	s.ok("images")
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // never an answer
	}))
	defer server.Close()
	before := stateOf(t, s.root())
	cmd := s.command(t.Context(), "pull", strings.TrimPrefix(server.URL, "http://")+"/x")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	cmd.Process.Signal(unix.SIGINT)
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	cmd.Wait()
	if want := "Error: interrupted; nothing was kept\n"; cmd.ProcessState.ExitCode() != 1 || errs.String() != want {
		t.Errorf("interrupted pull = %v, %q; want 1, %q", cmd.ProcessState, errs.String(), want)
	}
	if diff := cmp.Diff(before, stateOf(t, s.root())); diff != "" {
		t.Errorf("the store changed (-before +after):\n%s", diff)
	}
}

// TestCleanTakesHalfMadeImagesAway: what a pull that was killed left goes, what
// was there before stays.
func TestCleanTakesHalfMadeImagesAway(t *testing.T) {
	s := newStoreSession(t)
	s.ok("pull", "-q", "box")
	before := stateOf(t, s.root())
	host := registryHost(t)
	s.ok("tag", "box", host+"/box")
	s.ok("rmi", host+"/box")
	for _, dir := range []string{"tmp/load-123/etc", "overlay2/abc-creating/diff", "image/overlay2/layerdb/tmp/write-set-1"} {
		if err := os.MkdirAll(filepath.Join(s.root(), dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out := s.ok("clean"); !strings.Contains(out, "images of driver overlay2: put back") || !strings.Contains(out, "tmp/load-123") || !strings.Contains(out, "abc-creating") {
		t.Errorf("clean = %q; want what it took away", out)
	}
	if diff := cmp.Diff(before, stateOf(t, s.root())); diff != "" {
		t.Errorf("after clean (-before +after):\n%s", diff)
	}
	if out := s.ok("clean"); out != "nothing to clean" {
		t.Errorf("clean again = %q", out)
	}
}

// TestOrdinaryUsers: without root the error says the way out, and that way leads
// to an image.
func TestOrdinaryUsers(t *testing.T) {
	s := newSession(t).asNobody()
	r := s.run("pull", "box")
	if r.code != 1 || !strings.Contains(r.stderr, "operation not permitted") || !strings.Contains(r.stderr, "unshare -Urm") {
		t.Errorf("pull box as nobody = %d, %q; want what to do", r.code, r.stderr)
	}
	needs.Program(t, "unshare", "util-linux")
	cmd := s.command(t.Context(), "pull", "-q", "web")
	cmd.Args = append([]string{"unshare", "-Urm", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/usr/bin/unshare"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "docker.io/library/web:latest\n" {
		t.Errorf("pull web as root of a user namespace = %q, %v", out, err)
	}
}
