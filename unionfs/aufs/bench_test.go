package aufs

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// The bench mounts this union, unionfs-fuse and fuse-overlayfs side by side on
// tmpfs branches and gives each task to them by turns, a chunk of files at a
// time, so that whatever else the machine does hits all three alike. It prints
// the medians of the chunks and their ratios. fuse-overlayfs takes for granted
// that nobody changes its branches, so the union is told the same: udba=none.
//
// AUFS_BENCH=chunks makes it a measurement; without it one small chunk shows
// that it works.

type rival struct {
	name  string
	mount func(l *lab) error
}

var rivals = []rival{
	{"aufs", func(l *lab) error {
		u, err := Mount(Spec{Options: "br:" + l.rw + "=rw:" + l.ro + "=ro,udba=none", Target: l.mnt, ForceFUSE: true})
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

// task does its work on the files from..to of a union.
type task struct {
	name string
	run  func(l *lab, from, to int)
}

func onEach(dir string, f func(string) error) func(*lab, int, int) {
	return func(l *lab, from, to int) { eachFile(l.mnt+"/"+dir, from, to, f) }
}

var tasks = []task{
	{"stat, first", onEach("lower", statFile)},
	{"stat, again", onEach("lower", statFile)},
	{"create", onEach("new", createFile)},
	{"unlink", onEach("new", os.Remove)},
	{"unlink lower", onEach("doomed", os.Remove)},
	{"write 4k files", onEach("small", writeSmall)},
	{"read 4k files", onEach("lower", readFile)},
	{"copy-up 4k files", onEach("lower", appendFile)},
	{"list", func(l *lab, _, _ int) { _, err := os.ReadDir(l.mnt + "/lower"); must(err) }},
	{"seq write", func(l *lab, from, to int) { writeBig(l.mnt+"/big", to-from) }},
	{"seq read rw", func(l *lab, _, _ int) { dropPages(l.mnt + "/big"); readBig(l.mnt + "/big") }},
	{"seq read lower", func(l *lab, _, _ int) { dropPages(l.mnt + "/lowbig"); readBig(l.mnt + "/lowbig") }},
}

func eachFile(dir string, from, to int, f func(string) error) {
	for i := from; i < to; i++ {
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
	needFUSE(t)
	chunks, size := 1, 50
	if n, err := strconv.Atoi(os.Getenv("AUFS_BENCH")); err == nil {
		chunks, size = n, 200
	}
	for _, r := range rivals[1:] {
		needs.Program(t, r.name, r.name)
	}
	inNamespace(t, func(t *testing.T, dir string) {
		var labs []*lab
		for _, r := range rivals {
			labs = append(labs, benchLab(t, dir+"/"+r.name, r, chunks*size, size))
		}
		times := map[string][]time.Duration{}
		for _, task := range tasks {
			for chunk := range chunks {
				for i := range rivals {
					k := (i + chunk) % len(rivals) // nobody always goes first
					begin := time.Now()
					task.run(labs[k], chunk*size, (chunk+1)*size)
					key := task.name + "|" + rivals[k].name
					times[key] = append(times[key], time.Since(begin))
				}
			}
		}
		report(t, times)
		for _, l := range labs {
			must(unix.Unmount(l.mnt, 0))
		}
	})
}

func benchLab(t *testing.T, dir string, r rival, files, blocks int) *lab {
	l := &lab{t: t, dir: mkdir(dir), rw: mkdir(dir + "/rw"), ro: mkdir(dir + "/ro"), mnt: mkdir(dir + "/mnt")}
	eachFile(mkdir(l.ro+"/lower"), 0, files, writeSmall)
	eachFile(mkdir(l.ro+"/doomed"), 0, files, writeSmall)
	writeBig(l.ro+"/lowbig", blocks)
	if err := r.mount(l); err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	mkdir(l.mnt + "/new")
	mkdir(l.mnt + "/small")
	return l
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
