package aufs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Live tests run in a mount namespace of their own: the whole test binary is
// started again in it, for one test, and what the test mounts ends with it.

// inNamespace runs the calling test in a new mount namespace (and others that
// flags name), where /tmp is a fresh tmpfs.
func inNamespace(t *testing.T, body func(t *testing.T, dir string)) {
	t.Helper()
	needFUSE(t)
	inNamespaces(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}, body)
}

func inNamespaces(t *testing.T, attr *syscall.SysProcAttr, body func(t *testing.T, dir string)) {
	t.Helper()
	if inside(t, attr) {
		must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(unix.Mount("cutaway", "/tmp", "tmpfs", unix.MS_NOATIME, "mode=1777"))
		if attr.Cloneflags&unix.CLONE_NEWPID != 0 {
			must(unix.Mount("proc", "/proc", "proc", 0, ""))
		}
		body(t, "/tmp")
		return
	}
	attr.Pdeathsig = unix.SIGKILL
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{os.Args[0], "-test.run", "^" + t.Name() + "$", "-test.v"},
		Env: append(os.Environ(), "AUFS_TEST_INSIDE="+place(t, attr)), SysProcAttr: attr,
	}
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// place names a test together with its namespaces.
func place(t *testing.T, attr *syscall.SysProcAttr) string {
	return fmt.Sprintf("%s in %#x", t.Name(), attr.Cloneflags)
}

func inside(t *testing.T, attr *syscall.SysProcAttr) bool {
	return os.Getenv("AUFS_TEST_INSIDE") == place(t, attr)
}

// lab is a mounted union with the directories of its branches.
type lab struct {
	t           *testing.T
	dir, rw, ro string
	mnt         string
	u           *Union
}

// newLab mounts a union of an empty rw branch and a ro branch.
func newLab(t *testing.T, dir, more string) *lab {
	t.Helper()
	l := &lab{t: t, dir: dir, rw: dir + "/rw", ro: dir + "/ro", mnt: dir + "/mnt"}
	for _, d := range []string{l.rw, l.ro, l.mnt} {
		must(os.MkdirAll(d, 0o755))
	}
	l.mount(more)
	return l
}

func (l *lab) mount(more string) {
	l.t.Helper()
	u, err := Mount(Spec{Options: "br:" + l.rw + "=rw:" + l.ro + "=ro" + more, Target: l.mnt, ForceFUSE: true})
	if err != nil {
		l.t.Fatal(err)
	}
	l.u = u
	l.t.Cleanup(func() { unix.Unmount(l.mnt, unix.MNT_DETACH) })
}

func (l *lab) remount(text string) {
	l.t.Helper()
	if err := l.u.Remount(text); err != nil {
		l.t.Fatal(err)
	}
}

func put(path, text string) {
	must(os.MkdirAll(filepath.Dir(path), 0o755))
	must(os.WriteFile(path, []byte(text), 0o644))
}

// want compares what a file holds; "-" stands for no such file.
func (l *lab) want(path, text string) {
	l.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		got = []byte("-")
		if !os.IsNotExist(err) {
			got = []byte(err.Error())
		}
	}
	if string(got) != text {
		l.t.Errorf("%s holds %.60q; want %.60q", path, got, text)
	}
}

func TestBranchManagement(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		put(l.ro+"/f", "lower")
		put(dir+"/top/f", "top")
		put(dir+"/bottom/g", "bottom")
		l.want(l.mnt+"/f", "lower")
		l.remount("append:" + dir + "/bottom")
		l.want(l.mnt+"/g", "bottom")
		l.remount("prepend:" + dir + "/top=rw")
		l.want(l.mnt+"/f", "top")
		must(os.Remove(l.mnt + "/g"))
		l.want(dir+"/top/.wh.g", "")
		l.want(l.mnt+"/g", "-")

		s, err := l.u.State()
		if err != nil {
			t.Fatal(err)
		}
		want := []BranchState{{67, dir + "/top", "rw"}, {64, l.rw, "rw"}, {65, l.ro, "ro"}, {66, dir + "/bottom", "ro"}}
		if fmt.Sprint(s.Branches) != fmt.Sprint(want) || s.Kind != KindFUSE {
			t.Errorf("State() = %v, %v; want %v", s.Branches, s.Kind, want)
		}
		// Whiteouts of a branch that turns plain ro do not count any more;
		// with ro+wh they do.
		l.remount("mod:" + dir + "/top=ro")
		l.want(l.mnt+"/g", "bottom")
		l.remount("mod:" + dir + "/top=ro+wh")
		l.want(l.mnt+"/g", "-")
		l.want(dir+"/top/.wh..wh.aufs", "-")
		l.remount("del:" + dir + "/top")
		l.want(l.mnt+"/f", "lower")
	})
}

func TestBranchManagementRefuses(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		put(l.ro+"/f", "lower")
		put(dir+"/a/x", "a")
		for _, c := range []struct {
			text string
			want error
		}{
			{"append:/nosuch", unix.EINVAL},
			{"add:9:" + dir + "/a", unix.EDOM},
			{"append:" + l.rw, nil}, // present already
			{"del:" + dir + "/a", nil},
			{"append:" + dir + "/a,append:" + dir + "/a/..", unix.EINVAL}, // overlaps; the first stays
			{"bogus=1", unix.EINVAL},
		} {
			err := l.u.Remount(c.text)
			if c.want == nil && err != nil || c.want != nil && errnoNumber(err) != c.want {
				t.Errorf("Remount(%q) = %v; want %v", c.text, err, c.want)
			}
		}
		l.want(l.mnt+"/x", "a")
		f, err := os.Open(l.mnt + "/f")
		must(err)
		if err := l.u.Remount("del:" + l.ro); errnoNumber(err) != unix.EBUSY {
			t.Errorf("deleting a branch with an open file: %v; want EBUSY", err)
		}
		f.Close()
	})
}

// TestSeveralWritable: where new objects and changes go with two rw branches.
func TestSeveralWritable(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		for _, d := range []string{"rw", "rw2", "ro", "mnt"} {
			must(os.Mkdir(dir+"/"+d, 0o755))
		}
		put(dir+"/rw2/two/f", "2")
		put(dir+"/rw2/x", "rw2")
		put(dir+"/ro/x", "ro")
		put(dir+"/ro/onlyro/g", "g")
		u, err := Mount(Spec{Options: fmt.Sprintf("br:%[1]s/rw=rw:%[1]s/rw2=rw:%[1]s/ro=ro", dir), Target: dir + "/mnt", ForceFUSE: true})
		if err != nil {
			t.Fatal(err)
		}
		l := &lab{t: t, dir: dir, mnt: dir + "/mnt", u: u}
		put(l.mnt+"/two/new", "n")
		l.want(dir+"/rw2/two/new", "n")
		put(l.mnt+"/onlyro/n", "n")
		l.want(dir+"/rw2/onlyro/n", "n")
		put(l.mnt+"/top", "t")
		l.want(dir+"/rw/top", "t")
		must(os.Remove(l.mnt + "/x"))
		l.want(dir+"/rw2/.wh.x", "")
		l.want(dir+"/rw2/x", "-")
		l.want(l.mnt+"/x", "-")
		put(l.mnt+"/x", "again")
		l.want(dir+"/rw/x", "again")
		l.want(dir+"/rw2/.wh.x", "")
		must(u.Unmount())
	})
}

// TestUserNamespace: an ordinary user mounts a union in a user namespace, with
// no setuid program.
func TestUserNamespace(t *testing.T) {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}
	user := &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
	}
	if inside(t, user) {
		inNamespaces(t, user, asFakeRoot)
		return
	}
	inNamespace(t, func(t *testing.T, dir string) {
		// Where users may use FUSE the device is open to all.
		must(unix.Mknod(dir+"/fuse", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 229))))
		must(os.Chmod(dir+"/fuse", 0o666))
		must(unix.Mount(dir+"/fuse", "/dev/fuse", "", unix.MS_BIND, ""))
		inNamespaces(t, user, asFakeRoot)
	})
}

func asFakeRoot(t *testing.T, dir string) {
	l := newLab(t, dir, "")
	put(l.ro+"/f", "lower")
	must(os.WriteFile(l.mnt+"/f", []byte("changed"), 0o644))
	l.want(l.rw+"/f", "changed")
	l.want(l.ro+"/f", "lower")
	must(os.Remove(l.mnt + "/f"))
	l.want(l.rw+"/.wh.f", "")
	must(os.MkdirAll(l.mnt+"/a/b", 0o755))
	must(os.Rename(l.mnt+"/a", l.mnt+"/c"))
	l.remount("append:" + mkdir(dir+"/more"))
	must(l.u.Unmount())
}

func mkdir(path string) string {
	must(os.MkdirAll(path, 0o755))
	return path
}

// TestServerEnds: nothing is left of a server after the unmount.
func TestServerEnds(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		s, err := l.u.State()
		must(err)
		must(l.u.Unmount())
		if alive(s.PID) {
			t.Errorf("the server %d is still there", s.PID)
		}
		if _, err := Find(l.mnt); err == nil {
			t.Error("Find finds a union after the unmount")
		}
		if names := readdirnames(l.rw + "/" + whOrphan); len(names) > 0 {
			t.Errorf("left in the orphan folder: %v", names)
		}
	})
}

func TestStateOfTheModule(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"br0": "/b/rw=rw\n", "br1": "/b/a=b\\040c=ro+wh\n", "br10": "/b/ten=ro\n", "brid0": "64\n", "brid1": "65\n", "brid10": "80\n", "xi_path": "/x/.aufs.xino\n",
	} {
		must(os.WriteFile(dir+"/"+name, []byte(text), 0o444))
	}
	s, err := ReadSysfs(os.DirFS(dir))
	got, _ := json.Marshal(s.Branches)
	want := `[{"ID":64,"Path":"/b/rw","Perm":"rw"},{"ID":65,"Path":"/b/a=b\\040c","Perm":"ro+wh"},{"ID":80,"Path":"/b/ten","Perm":"ro"}]`
	if err != nil || string(got) != want || s.XiPath != "/x/.aufs.xino" {
		t.Errorf("ReadSysfs = %s, %q, %v; want %s", got, s.XiPath, err, want)
	}
	si, err := findSI(strings.NewReader("36 25 0:31 / /mnt rw,relatime - aufs none rw,si=5d2d0a1b8f4c4c2e,noplink\n"), "/mnt")
	if si != "5d2d0a1b8f4c4c2e" || err != nil {
		t.Errorf("findSI = %q, %v; want 5d2d0a1b8f4c4c2e", si, err)
	}
}

// TestServerEndsWithNamespace: a union that nobody unmounts goes when the last
// process of its mount namespace goes, and its server with it.
func TestServerEndsWithNamespace(t *testing.T) {
	needFUSE(t)
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"aufs-test-leaver"},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS},
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	fmt.Sscan(string(out), &pid)
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		waitEnd(pidfd, time.Minute)
		unix.Close(pidfd)
	}
	if pid == 0 || alive(pid) {
		t.Errorf("server %q is still there", out)
		unix.Kill(pid, unix.SIGKILL)
	}
}

// alive tells whether a process runs: one that has ended may still be listed.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ") && !strings.Contains(string(text), ") X ")
}

// mountAndLeave mounts a union, prints its server's pid, and ends.
func mountAndLeave() {
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("cutaway", "/tmp", "tmpfs", 0, ""))
	for _, dir := range []string{"rw", "ro", "mnt"} {
		must(os.Mkdir("/tmp/"+dir, 0o755))
	}
	u, err := Mount(Spec{Options: "br:/tmp/rw=rw:/tmp/ro=ro", Target: "/tmp/mnt", ForceFUSE: true})
	must(err)
	s, err := u.State()
	must(err)
	fmt.Println(s.PID)
}
