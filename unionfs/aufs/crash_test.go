package aufs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKilledServer kills the server with SIGKILL at many moments of a busy
// union, mounts again, and looks for halves: every name must show its old
// state or its new one, and the orphan folder must be clean.
func TestKilledServer(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		old, big := []byte("old"), bytes.Repeat([]byte("B"), 3<<20)
		for round := range 40 {
			base := fmt.Sprintf("%s/%d", dir, round)
			l := newLab(t, base, "")
			for i := range 40 {
				put(fmt.Sprintf("%s/d/f%d", l.ro, i), string(old))
				must(os.MkdirAll(fmt.Sprintf("%s/e%d/sub", l.ro, i), 0o755))
			}
			must(os.WriteFile(l.ro+"/big", big, 0o644))
			s, err := l.u.State()
			must(err)
			done := make(chan bool)
			go func() { churn(l.mnt); close(done) }()
			time.Sleep(time.Duration(rand.IntN(12_000)) * time.Microsecond)
			must(unix.Kill(s.PID, unix.SIGKILL))
			<-done
			must(unix.Unmount(l.mnt, unix.MNT_DETACH))
			l.mount("")
			checkNoHalves(t, l, big)
			must(l.u.Unmount())
			must(os.RemoveAll(base))
		}
	})
}

// churn makes all kinds of changes until the server is gone.
func churn(mnt string) {
	for i := range 40 {
		f := fmt.Sprintf("%s/d/f%d", mnt, i)
		e := fmt.Sprintf("%s/e%d", mnt, i)
		ops := []func() error{
			func() error { return os.WriteFile(f, []byte("new"), 0o644) },
			func() error { return os.Rename(f, f+".moved") },
			func() error { return os.Remove(f + ".moved") },
			func() error { return os.WriteFile(f, []byte("new"), 0o644) }, // over a whiteout
			func() error { return os.Remove(e + "/sub") },
			func() error { return os.Remove(e) },
			func() error { return os.Mkdir(e, 0o755) },
			func() error { return os.Chmod(mnt+"/big", 0o600) },
			func() error { return os.Link(f, f+".link") },
			func() error { return os.Rename(e, e+".moved") },
		}
		for _, op := range ops {
			if err := op(); errnoNumber(err) == unix.ENOTCONN || errnoNumber(err) == unix.ECONNABORTED {
				return
			}
		}
	}
}

func checkNoHalves(t *testing.T, l *lab, big []byte) {
	t.Helper()
	for i := range 40 {
		f := fmt.Sprintf("%s/d/f%d", l.mnt, i)
		for _, name := range []string{f, f + ".moved", f + ".link"} {
			data, err := os.ReadFile(name)
			// An empty file is what O_TRUNC leaves before the write.
			if ok := os.IsNotExist(err) || err == nil && (string(data) == "old" || string(data) == "new" || len(data) == 0); !ok {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		for _, name := range []string{fmt.Sprintf("%s/e%d", l.mnt, i), fmt.Sprintf("%s/e%d.moved", l.mnt, i)} {
			if names, err := os.ReadDir(name); err != nil && !os.IsNotExist(err) || len(names) > 1 {
				t.Errorf("%s: %v, %v", name, names, err)
			}
		}
	}
	if data, err := os.ReadFile(l.mnt + "/big"); err != nil || !bytes.Equal(data, big) {
		t.Errorf("big: %d bytes, %v; want %d", len(data), err, len(big))
	}
	if names := readdirnames(l.rw + "/" + whOrphan); len(names) > 0 {
		t.Errorf("left in the orphan folder: %v", names)
	}
}

// TestNoteIsRedone leaves each kind of half behind by hand and mounts.
func TestNoteIsRedone(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
		half  func(rw string)
		check func(l *lab)
	}{
		{
			"unlink between whiteout and removal", []step{{hide, "f", ""}, {drop, "f", ""}},
			func(rw string) { put(rw+"/f", "upper"); put(rw+"/.wh.f", "") },
			func(l *lab) { l.want(l.mnt+"/f", "-") },
		}, {
			"create over a whiteout that is moved but not shown", []step{{move, ".wh..wh.1.tmp", "f"}, {show, "f", ""}},
			func(rw string) { put(rw+"/f", "new"); put(rw+"/.wh.f", "") },
			func(l *lab) { l.want(l.mnt+"/f", "new") },
		}, {
			"folder moved over an empty one", []step{{drop, "t", ""}, {move, "s", "t"}},
			func(rw string) { put(rw+"/t/x", "came") },
			func(l *lab) { l.want(l.mnt+"/t/x", "came") },
		}, {
			"a note that leads out of the branch", []step{{drop, "../outside", ""}, {show, "x", ""}},
			func(rw string) { put(rw+"/../outside", "safe") },
			func(l *lab) { l.want(l.rw+"/../outside", "safe") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			needFUSE(t)
			dir := t.TempDir()
			rw := mkdir(dir + "/rw")
			put(dir+"/ro/f", "lower")
			b := &branch{path: rw, perm: Perm{Base: "rw"}, orph: -1}
			b.fd, _ = unix.Open(rw, unix.O_PATH|unix.O_DIRECTORY, 0)
			must(b.prepare(true))
			if !(&worker{b: b}).note(c.steps) {
				t.Fatal("no note was written")
			}
			c.half(rw)
			b.close()
			b, err := openBranch("", rw, Perm{Base: "rw"})
			must(err)
			must(b.prepare(true))
			b.close()
			u, err := New("br:" + rw + "=rw:" + dir + "/ro=ro")
			must(err)
			u.Close()
			l := &lab{t: t, rw: rw, mnt: viewOf(t, rw, dir+"/ro")}
			c.check(l)
			if names := readdirnames(rw + "/" + whOrphan); len(names) > 0 {
				t.Errorf("left in the orphan folder: %v", names)
			}
		})
	}
}

// viewOf copies what the union shows of files into a plain folder, without a
// mount: by the lookup rules alone.
func viewOf(t *testing.T, rw, ro string) string {
	t.Helper()
	u, err := New("br:" + rw + "=rw:" + ro + "=ro")
	must(err)
	defer u.Close()
	out := t.TempDir()
	var walk func(layers []*branch, dir string)
	walk = func(layers []*branch, dir string) {
		list, err := merge(layers, dir)
		must(err)
		for _, c := range list {
			f, err := search(layers, dir, c.name)
			must(err)
			path := joinPath(dir, c.name)
			if f.st.Mode&unix.S_IFMT == unix.S_IFDIR {
				must(os.MkdirAll(out+"/"+path, 0o755))
				walk(f.layers, path)
				continue
			}
			data, err := os.ReadFile(f.layers[0].path + "/" + path)
			must(err)
			must(os.WriteFile(out+"/"+path, data, 0o644))
		}
	}
	walk(u.branches, ".")
	return out
}

// TestParallelCopyUp: many writers of one lower file make one copy.
func TestParallelCopyUp(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		const writers = 16
		must(os.WriteFile(l.ro+"/f", bytes.Repeat([]byte("-"), 8<<20), 0o644))
		var wg sync.WaitGroup
		for i := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				f, err := os.OpenFile(l.mnt+"/f", os.O_RDWR, 0)
				must(err)
				_, err = f.WriteAt([]byte{byte('A' + i)}, int64(i)*4096)
				must(err)
				must(f.Close())
			}()
		}
		wg.Wait()
		data, err := os.ReadFile(l.mnt + "/f")
		must(err)
		for i := range writers {
			if data[i*4096] != byte('A'+i) {
				t.Errorf("the write of writer %d is lost", i)
			}
		}
		if len(data) != 8<<20 {
			t.Errorf("the file has %d bytes; want %d", len(data), 8<<20)
		}
	})
}

// TestRaces lets renames, copy-ups, removals and listings meet. The server must
// answer all of them, and each file must always have one of its contents.
func TestRaces(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		for i := range 8 {
			put(fmt.Sprintf("%s/a/f%d", l.ro, i), "lower")
			put(fmt.Sprintf("%s/b/g%d", l.ro, i), "lower")
		}
		end := time.Now().Add(2 * time.Second)
		var wg sync.WaitGroup
		var bad atomic.Int64
		for w := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				r := rand.New(rand.NewPCG(uint64(w), 1))
				for time.Now().Before(end) {
					if !raceOnce(l, r) {
						bad.Add(1)
					}
				}
			}()
		}
		wg.Wait()
		if bad.Load() > 0 {
			t.Errorf("%d operations ended with an error that no file system gives", bad.Load())
		}
		must(l.u.Unmount())
	})
}

func raceOnce(l *lab, r *rand.Rand) bool {
	x := fmt.Sprintf("%s/a/f%d", l.mnt, r.IntN(8))
	y := fmt.Sprintf("%s/b/g%d", l.mnt, r.IntN(8))
	var err error
	switch r.IntN(7) {
	case 0:
		err = os.Rename(x, y)
	case 1:
		err = os.Rename(y, x)
	case 2:
		err = os.Remove(x)
	case 3:
		err = os.WriteFile(x, []byte("lower"), 0o644)
	case 4:
		_, err = os.ReadFile(y)
	case 5:
		_, err = os.ReadDir(l.mnt + "/a")
	case 6:
		err = os.Chmod(y, 0o600)
	}
	return err == nil || os.IsNotExist(err)
}

// TestSignalsDuringCopyUp: a caller that gets signals all the time (as Go
// programs do) sends INTERRUPT for each. The copy-up goes on to its end.
func TestSignalsDuringCopyUp(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		data := bytes.Repeat([]byte("0123456789abcdef"), 4<<16)
		for i := range 10 {
			must(os.WriteFile(fmt.Sprintf("%s/f%d", l.ro, i), data, 0o644))
		}
		stop := make(chan bool)
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					unix.Kill(os.Getpid(), unix.SIGURG)
				}
			}
		}()
		for i := range 10 {
			must(os.Chmod(fmt.Sprintf("%s/f%d", l.mnt, i), 0o600))
		}
		close(stop)
		for i := range 10 {
			l.want(fmt.Sprintf("%s/f%d", l.rw, i), string(data))
		}
	})
}
