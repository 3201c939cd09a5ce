package aufs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The bench runs the same work on this union, on unionfs-fuse and on
// fuse-overlayfs, by turns, on tmpfs branches, and prints the times as ratios.
// It takes AUFS_BENCH=rounds (the median of the rounds counts); without, one
// short round shows that it works.

type rival struct {
	name  string
	mount func(l *lab) error
}

var rivals = []rival{
	{"aufs", func(l *lab) error {
		u, err := Mount(Spec{Options: "br:" + l.rw + "=rw:" + l.ro + "=ro", Target: l.mnt, ForceFUSE: true})
		l.u = u
		return err
	}},
	{"unionfs-fuse", func(l *lab) error {
		return exec.Command("unionfs-fuse", "-o", "cow,allow_other,use_ino", l.rw+"=RW:"+l.ro+"=RO", l.mnt).Run()
	}},
	{"fuse-overlayfs", func(l *lab) error {
		return exec.Command("fuse-overlayfs", "-o", "lowerdir="+l.ro+",upperdir="+l.rw+",workdir="+mkdir(l.dir+"/work"), l.mnt).Run()
	}},
}

type task struct {
	name string
	run  func(l *lab, files int)
}

var tasks = []task{
	{"stat, first", func(l *lab, n int) { eachFile(l.mnt+"/lower", n, statFile) }},
	{"stat, again", func(l *lab, n int) { eachFile(l.mnt+"/lower", n, statFile) }},
	{"list", func(l *lab, n int) { _, err := os.ReadDir(l.mnt + "/lower"); must(err) }},
	{"create", func(l *lab, n int) { mkdir(l.mnt + "/new"); eachFile(l.mnt+"/new", n, createFile) }},
	{"unlink", func(l *lab, n int) { eachFile(l.mnt+"/new", n, os.Remove) }},
	{"unlink lower", func(l *lab, n int) { eachFile(l.mnt+"/doomed", n, os.Remove) }},
	{"write 4k files", func(l *lab, n int) { mkdir(l.mnt + "/small"); eachFile(l.mnt+"/small", n, writeSmall) }},
	{"read 4k files", func(l *lab, n int) { eachFile(l.mnt+"/lower", n, readFile) }},
	{"copy-up 4k files", func(l *lab, n int) { eachFile(l.mnt+"/lower", n, appendFile) }},
	{"seq write", func(l *lab, n int) { writeBig(l.mnt+"/big", n) }},
	{"seq read rw", func(l *lab, n int) { dropPages(l.mnt + "/big"); readBig(l.mnt + "/big") }},
	{"seq read lower", func(l *lab, n int) { dropPages(l.mnt + "/lowbig"); readBig(l.mnt + "/lowbig") }},
}

func eachFile(dir string, n int, f func(string) error) {
	for i := range n {
		must(f(dir + "/f" + strconv.Itoa(i)))
	}
}

func statFile(path string) error { var st unix.Stat_t; return unix.Lstat(path, &st) }

func createFile(path string) error {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
	unix.Close(fd)
	return err
}

var small = bytes.Repeat([]byte("s"), 4096)

func writeSmall(path string) error { return os.WriteFile(path, small, 0o644) }

func readFile(path string) error { _, err := os.ReadFile(path); return err }

func appendFile(path string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND, 0)
	if err == nil {
		_, err = unix.Write(fd, small[:1])
		unix.Close(fd)
	}
	return err
}

func writeBig(path string, n int) {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, 0o644)
	must(err)
	buf := make([]byte, 128<<10)
	for range n {
		_, err = unix.Write(fd, buf)
		must(err)
	}
	must(unix.Close(fd))
}

func readBig(path string) {
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	must(err)
	buf := make([]byte, 128<<10)
	for {
		n, err := unix.Read(fd, buf)
		if must(err); n == 0 {
			break
		}
	}
	must(unix.Close(fd))
}

// dropPages makes the kernel forget the union's cached pages of a file.
func dropPages(path string) {
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	must(err)
	must(unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	unix.Close(fd)
}

func TestBench(t *testing.T) {
	needRoot(t)
	rounds, files := 1, 100
	if n, err := strconv.Atoi(os.Getenv("AUFS_BENCH")); err == nil {
		rounds, files = n, 2000
	}
	for _, r := range rivals[1:] {
		if _, err := exec.LookPath(r.name); err != nil {
			skipOrFail(t, r.name+" is missing: package "+r.name)
		}
	}
	inNamespace(t, func(t *testing.T, dir string) {
		times := map[string][]time.Duration{}
		for round := range rounds {
			for i := range rivals {
				r := rivals[(i+round)%len(rivals)] // nobody always goes first
				benchOnce(t, fmt.Sprintf("%s/%d%s", dir, round, r.name), r, files, times)
			}
		}
		report(t, times)
	})
}

func benchOnce(t *testing.T, dir string, r rival, files int, times map[string][]time.Duration) {
	l := &lab{t: t, dir: mkdir(dir), rw: mkdir(dir + "/rw"), ro: mkdir(dir + "/ro"), mnt: mkdir(dir + "/mnt")}
	eachFile(mkdir(l.ro+"/lower"), files, writeSmall)
	eachFile(mkdir(l.ro+"/doomed"), files, writeSmall)
	writeBig(l.ro+"/lowbig", files)
	if err := r.mount(l); err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	for _, task := range tasks {
		begin := time.Now()
		task.run(l, files)
		key := task.name + "|" + r.name
		times[key] = append(times[key], time.Since(begin))
	}
	must(unix.Unmount(l.mnt, 0))
	must(os.RemoveAll(dir))
}

func report(t *testing.T, times map[string][]time.Duration) {
	median := func(key string) float64 {
		slices.Sort(times[key])
		return times[key][len(times[key])/2].Seconds() * 1000
	}
	t.Logf("%-18s %10s %14s %16s %8s %8s", "ms (median)", "aufs", "unionfs-fuse", "fuse-overlayfs", "/union", "/overlay")
	for _, task := range tasks {
		a, u, o := median(task.name+"|aufs"), median(task.name+"|unionfs-fuse"), median(task.name+"|fuse-overlayfs")
		t.Logf("%-18s %10.2f %14.2f %16.2f %8.2f %8.2f", task.name, a, u, o, a/u, a/o)
	}
}
