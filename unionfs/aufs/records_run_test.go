package aufs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// TestRecords replays every record: the branches are built on tmpfs, mounted
// twice (once to look, once for the steps), and everything that was recorded of
// the module is compared. What differs on purpose stands in Differences, and
// its expectations are replaced by expected changes: a difference is tested too.
func TestRecords(t *testing.T) {
	needFUSE(t)
	needs.File(t, "/bin/busybox", "package busybox-static")
	listed := map[string]bool{}
	for _, d := range Differences {
		for _, name := range d.Records {
			listed[name] = true
		}
	}
	for _, r := range loadRecords(t) {
		t.Run(r.Test, func(t *testing.T) {
			t.Parallel()
			change, changed := amendments[r.Test]
			if changed != listed[r.Test] {
				t.Fatalf("amended = %v, listed in Differences = %v", changed, listed[r.Test])
			}
			if changed {
				change(&r)
			}
			for _, problem := range runWorker(t, r) {
				t.Error(problem)
			}
		})
	}
}

func runWorker(t *testing.T, r record) (problems []string) {
	t.Helper()
	in, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"aufs-test-record"}, Stdin: bytes.NewReader(in), Stdout: &out, Stderr: &errs,
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL},
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("worker: %v\n%s", err, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &problems); err != nil {
		t.Fatalf("worker said %q: %v\n%s", out.String(), err, errs.String())
	}
	return problems
}

// replay is one record being replayed, in the worker.
type replay struct {
	r        record
	problems []string
	fds      map[string]int
	maps     map[string][]byte
	marks    map[string]unix.Stat_t
	extra    []string // further unions mounted by steps
}

func replayFromStdin() {
	var p replay
	if err := json.NewDecoder(os.Stdin).Decode(&p.r); err != nil {
		panic(err)
	}
	unix.Umask(0)
	enterLab()
	p.run()
	json.NewEncoder(os.Stdout).Encode(append([]string{}, p.problems...))
}

func (p *replay) fail(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// enterLab makes a root directory on tmpfs with what the records speak of, in
// the mount and pid namespace that this process was started in.
func enterLab() {
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("lab", "/tmp", "tmpfs", unix.MS_NOATIME, "mode=0755"))
	for _, dir := range []string{"bin", "proc", "sys", "dev", "tmp", "b", "x", "mnt", "mnt2"} {
		must(os.Mkdir("/tmp/"+dir, 0o755))
	}
	must(unix.Mount("proc", "/tmp/proc", "proc", 0, ""))
	must(unix.Mount("/sys", "/tmp/sys", "", unix.MS_BIND, ""))
	must(unix.Mount("/dev", "/tmp/dev", "", unix.MS_BIND, ""))
	for _, dir := range []string{"/lib", "/lib64", "/usr"} { // for a test binary that is linked dynamically
		if os.Mkdir("/tmp"+dir, 0o755); unix.Mount(dir, "/tmp"+dir, "", unix.MS_BIND, "") != nil {
			os.Remove("/tmp" + dir)
		}
	}
	must(os.WriteFile("/tmp/bin/busybox", nil, 0o755))
	must(unix.Mount("/bin/busybox", "/tmp/bin/busybox", "", unix.MS_BIND, ""))
	must(os.Symlink("/b", "/tmp/tmp/lnk"))
	must(unix.Chroot("/tmp"))
	must(os.Chdir("/"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *replay) run() {
	p.build()
	u, ok := p.mount(p.r.Mount.Options)
	if !ok {
		p.compareBranches("after the failed mount", p.r.After)
		return
	}
	p.compareBranches("after the mount", p.r.AfterMount)
	p.compareUnion("before", p.r.UnionBefore)
	p.unmount(u)

	p.build()
	if u, ok = p.mount(p.r.Mount.Options); !ok {
		return
	}
	for i, s := range p.r.Steps {
		p.step(i, s)
	}
	p.compareBranches("after", p.r.After)
	p.compareUnion("after", p.r.UnionAfter)
	for _, fd := range p.fds {
		unix.Close(fd)
	}
	for _, m := range p.maps {
		unix.Munmap(m)
	}
	p.unmount(u)
	p.compareBranches("after the unmount", orListing(p.r.AfterUmount, p.r.After))
	if u, ok = p.mount(p.r.Mount.Options); ok {
		fresh := p.r.UnionFresh
		if fresh == nil {
			fresh = p.r.UnionAfter
		}
		p.compareUnion("after a fresh mount", fresh)
		p.unmount(u)
	}
}

func orListing(a, b map[string][]recEntry) map[string][]recEntry {
	if a != nil {
		return a
	}
	return b
}

func (p *replay) mount(options string) (*Union, bool) {
	u, err := Mount(Spec{Options: options, Target: "/mnt", ReadOnly: p.r.Mount.Flags == "ro"})
	got := 0
	if err != nil {
		got = int(errnoNumber(err))
	}
	if got != p.r.Mount.Errno {
		p.fail("mount: errno %d (%v); want %d", got, err, p.r.Mount.Errno)
	}
	return u, err == nil
}

func (p *replay) unmount(u *Union) {
	os.Chdir("/")
	for _, target := range append(p.extra, u.Target) {
		if err := (&Union{Target: target, Kind: u.Kind}).Unmount(); err != nil {
			p.fail("%v", err)
		}
	}
	p.extra = nil
}

// build makes the branches afresh, as the setup says.
func (p *replay) build() {
	for unix.Unmount("/mnt2", unix.MNT_DETACH) == nil {
	}
	p.fds, p.maps, p.marks = map[string]int{}, map[string][]byte{}, map[string]unix.Stat_t{}
	for _, b := range p.r.Branches {
		unix.Unmount("/b/.fs_"+b.Name, unix.MNT_DETACH)
	}
	for _, dir := range []string{"/b", "/x"} {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
		must(unix.Mount("branches", dir, "tmpfs", unix.MS_NOATIME, "mode=0755"))
	}
	for _, b := range p.r.Branches {
		p.buildBranch(b)
	}
	for i, s := range p.r.PreMount {
		p.step(i, s)
	}
}

func (p *replay) buildBranch(b recBranch) {
	root := "/b/" + b.Name
	if b.OwnTmpfs != nil {
		fs := "/b/.fs_" + b.Name
		must(os.Mkdir(fs, 0o755))
		must(unix.Mount("own", fs, "tmpfs", unix.MS_NOATIME, *b.OwnTmpfs))
		must(os.Mkdir(fs+"/u", 0o755))
		must(os.Symlink(".fs_"+b.Name+"/u", root))
		root = fs + "/u"
	} else {
		must(os.Mkdir(root, 0o755))
	}
	for _, s := range b.Setup {
		s.make(root)
	}
	must(os.Chown(root, b.RootUID, b.RootUID))
	must(unix.Chmod(root, octal(b.RootMode, 0o755)))
	filepath.Walk(root, func(path string, _ os.FileInfo, _ error) error {
		ts := []unix.Timespec{{Sec: oldTime}, {Sec: oldTime}}
		must(unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW))
		return nil
	})
}

const oldTime = 1000000000

func (s recSetup) make(root string) {
	path := filepath.Join(root, s.Path)
	mode := octal(s.Mode, 0o644)
	switch s.Type {
	case "dir":
		mode = octal(s.Mode, 0o755)
		must(unix.Mkdir(path, mode))
	case "file":
		must(os.WriteFile(path, fillData(s.Data, s.Fill), 0o644))
		if s.Hole > 0 {
			must(os.Truncate(path, s.Hole))
		}
	case "whiteout":
		dir, name := filepath.Split(path)
		path, mode = dir+whPrefix+name, 0o444
		must(os.WriteFile(path, nil, 0o444))
	case "opaque":
		path, mode = path+"/"+whOpaque, 0o444
		must(os.WriteFile(path, nil, 0o444))
	case "symlink":
		must(os.Symlink(s.To, path))
	case "hardlink":
		must(os.Link(filepath.Join(root, s.To), path))
		return
	default:
		must(unix.Mknod(path, nodeKinds[s.Type]|mode, deviceNumber(s.Rdev)))
	}
	must(os.Lchown(path, s.UID, s.GID))
	if s.Type != "symlink" {
		must(unix.Chmod(path, mode))
	}
	for name, value := range s.Xattr {
		if !strings.HasPrefix(name, "user.") { // tmpfs had no user.* then
			must(unix.Lsetxattr(path, name, xattrBytes(value), 0))
		}
	}
}

func (p *replay) compareBranches(when string, want map[string][]recEntry) {
	for _, b := range p.r.Branches {
		if list, ok := want[b.Name]; ok {
			p.compareListing(fmt.Sprintf("branch %s %s", b.Name, when), listTree("/b/"+b.Name+"/."), list)
		}
	}
}

func (p *replay) compareUnion(when string, want []recEntry) {
	p.compareListing("union "+when, listTree("/mnt"), want)
}

// compareListing compares what the record tells of each object; the objects
// must be the same, and extended attributes and hard links none besides.
func (p *replay) compareListing(what string, got, want []recEntry) {
	have := map[string]recEntry{}
	for _, e := range got {
		have[e["path"].(string)] = e
	}
	for _, w := range want {
		name := w["path"].(string)
		g, ok := have[name]
		if !ok {
			p.fail("%s: %s is missing", what, name)
			continue
		}
		delete(have, name)
		for _, key := range []string{"xattr", "same_inode_as"} {
			if _, told := w[key]; !told && g[key] != nil {
				p.fail("%s: %s has %s %v; want none", what, name, key, g[key])
			}
		}
		for key, value := range w {
			if !sameJSON(g[key], value) {
				p.fail("%s: %s: %s = %v; want %v", what, name, key, g[key], value)
			}
		}
	}
	for name := range have {
		p.fail("%s: %s is there; want none", what, name)
	}
}

func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	var u, v any
	json.Unmarshal(x, &u)
	json.Unmarshal(y, &v)
	return reflect.DeepEqual(u, v)
}
