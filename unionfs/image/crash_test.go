package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/unionfs/contract"
	"cutaway/unionfs/image"
)

const victimJob = "CUTAWAY_IMAGE_VICTIM" // "<root> <archive>"

func TestMain(m *testing.M) {
	if job := os.Getenv(victimJob); job != "" {
		root, archive, _ := strings.Cut(job, " ")
		fmt.Fprintln(os.Stderr, victim(root, archive))
		os.Exit(1)
	}
	contract.Main(m, openDriver)
}

// victim loads, containerizes, commits and removes until it is killed.
func victim(root, archive string) error {
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	d, err := openDriver(filepath.Join(root, "overlay2"))
	if err != nil {
		return err
	}
	s, err := image.Open(root, d)
	if err != nil {
		return err
	}
	os.Stdout.WriteString(".")
	for {
		loaded, err := s.Load(bytes.NewReader(data))
		if err != nil {
			return err
		}
		if _, err := s.CreateRoot("victim", loaded[0].Image, noSize); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := s.RemoveRoot("victim"); err != nil {
			return err
		}
		if _, err := s.Remove("app:v1", true, nobody); err != nil {
			return err
		}
	}
}

// TestKill kills a process with SIGKILL at many moments of loading and removing
// an image. Whoever opens the store next finds each image whole or not at all,
// and after removing what is there nothing is left.
func TestKill(t *testing.T) {
	from := newStore(t)
	build(t, from, "app:v1")
	dir := contract.TempDir(t)
	archive := filepath.Join(dir, "app.tar")
	overwrite(t, archive, string(save(t, from, (*image.Store).Save, "app:v1")))
	to := newStore(t)
	empty := listing(t, to.Root())
	for i := range 40 {
		killAt(t, to.Root()+" "+archive, time.Duration(i)*1700*time.Microsecond)
		s := openStore(t, to.Root())
		images := must2(s.All())(t)
		for _, img := range images {
			if err := s.Save(&bytes.Buffer{}, []image.Wanted{{Image: img}}); err != nil {
				t.Errorf("after kill %d: the image cannot be saved: %v", i, err)
			}
		}
		clear(t, s, images)
		if left := leftovers(t, s, empty); left != "" {
			t.Fatalf("after kill %d and removing all that is known, there is left:\n%s", i, left)
		}
	}
}

// clear removes what a user can see, by the ways that a user has.
func clear(t *testing.T, s *image.Store, images []*image.Image) {
	t.Helper()
	for _, r := range must2(s.Roots())(t) {
		if err := s.RemoveRoot(r.Container); err != nil {
			t.Fatal(err)
		}
	}
	for _, img := range images {
		must2(s.Remove(img.ImageID.String(), true, nobody))(t)
	}
	must2(s.Prune())(t)
}

func leftovers(t *testing.T, s *image.Store, empty string) string {
	t.Helper()
	var left []string
	for line := range strings.Lines(listing(t, s.Root())) {
		known := strings.Contains(empty, line) || line == "/image/overlay2/repositories.json\n"
		if !known {
			left = append(left, line)
		}
	}
	return strings.Join(left, "")
}

func killAt(t *testing.T, job string, delay time.Duration) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), victimJob+"="+job)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	// A mount namespace of its own: what it has mounted when it dies goes too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Unshareflags: unix.CLONE_NEWNS}
	out := must2(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("victim did not start: %v: %s", err, stderr.String())
	}
	time.Sleep(delay)
	cmd.Process.Kill()
	cmd.Wait()
	if stderr.Len() > 0 {
		t.Errorf("victim failed before it was killed: %s", stderr.String())
	}
}
