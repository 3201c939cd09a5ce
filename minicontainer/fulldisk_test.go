package minicontainer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/minicontainer"
)

// disk is a small file system of its own (a tmpfs) with an engine's root on it.
type disk struct {
	t   *testing.T
	dir string
}

// newSmallEngine opens an engine whose files have 32 MiB; what lives with the
// processes, and would be in /run, is on that disk too.
func newSmallEngine(t *testing.T) (*minicontainer.Engine, disk) {
	t.Helper()
	needs.Root(t)
	dir, err := os.MkdirTemp("/dev/shm", "cutaway-full")
	must(t, err)
	must(t, unix.Mount("cutaway-full", dir, "tmpfs", 0, "size=32m"))
	t.Cleanup(func() {
		must(t, unix.Unmount(dir, unix.MNT_DETACH)) // a shim may be on its way out
		must(t, os.Remove(dir))
	})
	return newEngineIn(t, dir), disk{t, dir}
}

// fill leaves not a byte.
func (d disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.dir+"/filler", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(d.t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else {
			must(d.t, err)
		}
	}
}

func (d disk) free() { must(d.t, os.Remove(d.dir+"/filler")) }

func wantFull(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, unix.ENOSPC) && (err == nil || !strings.Contains(err.Error(), "no space left on device")) {
		t.Errorf("%s on a full disk: %v; want ENOSPC", what, err)
	}
}

// TestFullDiskRefusesWhatIsNew: create, start, commit and cp fail with the
// reason, leave nothing, and succeed when there is room again.
func TestFullDiskRefusesWhatIsNew(t *testing.T) {
	e, d := newSmallEngine(t)
	c, err := e.Create(box("waiting", "sh", "-c", "exit 3"))
	must(t, err)
	runs := detached(t, e, box("runs", "sleep", "1000"))
	before := names(t, d.dir+"/root/overlay2")
	steps := []struct {
		what string
		do   func() error
	}{
		{"create", func() error { _, err := e.Create(box("new", "true")); return err }},
		{"start", func() error { _, err := e.Start(c.ID, nil); return err }},
		{"commit", func() error {
			_, err := e.Commit(runs.ID, minicontainer.CommitOptions{})
			return err
		}},
		{"cp", func() error { return e.CopyTo(runs.ID, "/tmp", oneFile(t, 1<<20)) }},
		{"write in the container", func() error {
			s, err := e.Exec(runs.ID, minicontainer.ExecOptions{Cmd: []string{"sh", "-c", "echo text > /tmp/f"}}, nil)
			must(t, err)
			defer s.Close()
			if code, err := s.Wait(); err != nil || code != 0 {
				return unix.ENOSPC // that it could not is all that comes out of there
			}
			return nil
		}},
	}
	d.fill()
	for _, step := range steps {
		wantFull(t, step.what, step.do())
	}
	if after := names(t, d.dir+"/root/overlay2"); len(after) != len(before) {
		t.Errorf("layers were %v, and after errors are %v", before, after)
	}
	d.free()
	for _, step := range steps {
		must(t, step.do())
	}
	code, err := e.Wait(context.Background(), c.ID)
	if err != nil || code != 3 {
		t.Errorf("the container that could not start ended with %d, %v; want 3", code, err)
	}
}

func oneFile(t *testing.T, size int) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "big", Mode: 0o644, Size: int64(size)}))
	_, err := w.Write(make([]byte, size))
	must(t, err)
	must(t, w.Close())
	return &b
}

// TestFullDiskLosesNoContainer: while there is no room, containers run on, end
// with their own exit codes, are stopped and removed; the log has whole lines.
func TestFullDiskLosesNoContainer(t *testing.T) {
	e, d := newSmallEngine(t)
	o := box("asked", "sh", "-c", "echo before; read word; echo $word; read word; echo after; exit 4")
	o.Config.OpenStdin = true
	c, s, err := e.Run(o, nil)
	must(t, err)
	must(t, s.Close())
	stays, made := detached(t, e, box("stays", "sleep", "1000")), box("made", "true")
	_, err = e.Create(made)
	must(t, err)
	in, feed, err := os.Pipe()
	must(t, err)
	p, err := e.Attach(c.ID, &minicontainer.Streams{In: in})
	must(t, err)
	in.Close()
	waitLog(t, e, c.ID, "before\n")

	d.fill()
	long := strings.Repeat("x", 8<<10) + "\n" // more than the last block of the log has room for
	_, err = io.WriteString(feed, long)
	must(t, err)
	zero := 0
	must(t, e.Stop(stays.ID, &zero))
	if c, err := e.Inspect(stays.ID); err != nil || c.State.Running || c.State.ExitCode != 137 {
		t.Errorf("stopped on a full disk: %+v, %v; want ended with 137", c, err)
	}
	must(t, e.Remove("made", minicontainer.RemoveOptions{}))
	d.fill()
	_, err = io.WriteString(feed, "on\n")
	must(t, err)
	code, err := p.Wait()
	must(t, err)
	must(t, p.Close())
	feed.Close()
	waitFor(t, "the shim to end", func() bool { return !e.ShimAlive(c.ID) })
	c, err = e.Inspect(c.ID)
	must(t, err)
	if code != 4 || c.State.Running || c.State.ExitCode != 4 {
		t.Errorf("ended on a full disk: code %d, state %+v; want 4", code, c.State)
	}
	all, err := e.List(minicontainer.ListOptions{All: true})
	if err != nil || len(all) != 2 {
		t.Errorf("List on a full disk = %d containers, %v; want asked, stays", len(all), err)
	}
	var out bytes.Buffer
	must(t, e.Logs(context.Background(), c.ID, minicontainer.LogOptions{Tail: -1}, &out, &out))
	for _, line := range strings.SplitAfter(out.String(), "\n") {
		// A late one may have found the room that the removal made.
		if !strings.Contains("before\n after\n", line) && line != long {
			t.Errorf("the log has half a line: %.40q", line)
		}
	}
	must(t, e.Remove(c.ID, minicontainer.RemoveOptions{}))
	d.free()
}

// waitLog waits until the log of a container is text.
func waitLog(t *testing.T, e *minicontainer.Engine, ref, text string) {
	t.Helper()
	waitFor(t, "the log to be "+text, func() bool {
		var out bytes.Buffer
		return e.Logs(context.Background(), ref, minicontainer.LogOptions{Tail: -1}, &out, &out) == nil && out.String() == text
	})
}
