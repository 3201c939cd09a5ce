package inside_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
	"cutaway/internal/needs"
)

func itoa(n int) string { return strconv.Itoa(n) }

const allFlags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME | unix.CLONE_NEWUSER

var allKinds = []string{"mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time"}

// rootInside maps uid and gid id of the caller's namespace to 0.
func rootInside(flags uintptr, id int) *syscall.SysProcAttr {
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	return &syscall.SysProcAttr{Cloneflags: flags, UidMappings: one, GidMappings: one}
}

func nsLinks(t *testing.T, pid int) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, kind := range allKinds {
		link, err := os.Readlink("/proc/" + itoa(pid) + "/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		ids[kind] = link
	}
	return ids
}

func TestEightNewNamespacesAndJoinThem(t *testing.T) {
	needs.Root(t)
	attr := rootInside(allFlags, 0)
	first := start(t, inside.Config{Attr: attr, Offsets: "boottime 86400 0"})
	own, theirs := nsLinks(t, os.Getpid()), nsLinks(t, first.Pid())
	for _, kind := range allKinds {
		if own[kind] == theirs[kind] {
			t.Errorf("%s namespace is the caller's: %s", kind, own[kind])
		}
	}
	second := start(t, inside.Config{Join: &inside.Join{Pid: first.Pid(), Kinds: allKinds}})
	var seen map[string]string
	if err := second.Call(t.Context(), "test.links", nil, &seen); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theirs, seen); diff != "" {
		t.Errorf("the joiner's namespaces (-target +joiner):\n%s", diff)
	}
	var ids []int
	if err := second.Call(t.Context(), "test.ids", nil, &ids); err != nil {
		t.Fatal(err)
	}
	if ids[0] != 0 || ids[1] != 0 || ids[2] < 2 || ids[2] > 99 {
		t.Errorf("uid, gid, pid of the joiner = %d %d %d; want 0, 0 and a small number, not 1", ids[0], ids[1], ids[2])
	}
	if err := second.Call(t.Context(), "test.sethostname", "joined", nil); err != nil {
		t.Errorf("sethostname as the joined root = %v", err)
	}
}

func TestTimeOffsets(t *testing.T) {
	needs.Root(t)
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWTIME}
	h := start(t, inside.Config{Attr: attr, Offsets: "monotonic 1000 0\nboottime 864000 0\n"})
	var uptime string
	if err := h.Call(t.Context(), "test.read", "/proc/uptime", &uptime); err != nil {
		t.Fatal(err)
	}
	outside, _ := os.ReadFile("/proc/uptime")
	if delta := seconds(t, uptime) - seconds(t, string(outside)); delta < 863000 || delta > 865000 {
		t.Errorf("uptime inside %s, outside %s; want ten days between", uptime, outside)
	}
	// the offsets are set for good now
	joined := start(t, inside.Config{Join: &inside.Join{Pid: h.Pid(), Kinds: []string{"time"}}})
	if got, want := nsLinks(t, joined.Pid())["time"], nsLinks(t, h.Pid())["time"]; got != want {
		t.Errorf("time namespace of the joiner = %s; want %s", got, want)
	}
}

func seconds(t *testing.T, uptime string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.Fields(uptime)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An ordinary user's helper makes helpers in turn, so this goes through a
// program of its own: the tests run once more with the user's ids.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Getuid() == 0 {
		dropAndRunAgain(t)
		return
	}
	first := start(t, inside.Config{Attr: rootInside(allFlags, os.Getuid()), Offsets: "boottime 100 0"})
	second := start(t, inside.Config{Join: &inside.Join{Pid: first.Pid(), Kinds: allKinds}})
	if diff := cmp.Diff(nsLinks(t, first.Pid()), nsLinks(t, second.Pid())); diff != "" {
		t.Errorf("the joiner's namespaces (-target +joiner):\n%s", diff)
	}
	if err := second.Call(t.Context(), "test.sethostname", "joined", nil); err != nil {
		t.Errorf("sethostname as the joined root = %v", err)
	}
	_, err := inside.Start(t.Context(), inside.Config{Join: &inside.Join{Pid: 1, Kinds: []string{"uts"}}})
	if err == nil {
		t.Error("an ordinary user could join the uts namespace of pid 1")
	}
}

func dropAndRunAgain(t *testing.T) {
	t.Helper()
	files := []*os.File{nil, os.Stdout, os.Stderr}
	args := []string{os.Args[0], "-test.run=^TestAsOrdinaryUser$"}
	p, err := os.StartProcess("/proc/self/exe", args, &os.ProcAttr{
		Dir: "/", Files: files, Env: os.Environ(),
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}},
	})
	if err != nil {
		t.Fatal(err)
	}
	state, err := p.Wait()
	if err != nil || !state.Success() {
		t.Errorf("the tests as uid 65534: %v, %v", state, err)
	}
}

func TestJoinWithNewNamespacesAndIDs(t *testing.T) {
	needs.Root(t)
	first := start(t, inside.Config{Attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS | unix.CLONE_NEWPID}})
	second := start(t, inside.Config{
		Join: &inside.Join{Pid: first.Pid(), Kinds: []string{"uts", "pid"}},
		Attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Credential: &syscall.Credential{Uid: 7, Gid: 8}},
	})
	a, b := nsLinks(t, first.Pid()), nsLinks(t, second.Pid())
	if a["uts"] != b["uts"] || a["pid"] != b["pid"] || a["net"] == b["net"] {
		t.Errorf("target %v, joiner %v; want the same uts and pid, another net", a, b)
	}
	var ids []int
	if err := second.Call(t.Context(), "test.ids", nil, &ids); err != nil || ids[0] != 7 || ids[1] != 8 {
		t.Errorf("ids = %v, %v; want uid 7, gid 8", ids, err)
	}
}

func TestKilledInitTakesAllAlong(t *testing.T) {
	needs.Root(t)
	first := start(t, inside.Config{Attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}})
	second := start(t, inside.Config{Join: &inside.Join{Pid: first.Pid(), Kinds: []string{"pid"}}})
	first.Process().Kill()
	if err := first.Call(t.Context(), "test.echo", 1, nil); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Call to the killed init = %v; want gone, killed", err)
	}
	if err := second.Call(t.Context(), "test.echo", 1, nil); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Call to another of its namespace = %v; want gone, killed", err)
	}
}

// With As the whole start is an ordinary user's, down to who owns the namespace.
func TestAs(t *testing.T) {
	needs.Root(t)
	for _, flags := range []uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWPID, allFlags} {
		h := start(t, inside.Config{
			As: &syscall.Credential{Uid: 65534, Gid: 65534}, Attr: rootInside(flags, 65534),
		})
		f, err := os.Open("/proc/" + itoa(h.Pid()) + "/ns/user")
		if err != nil {
			t.Fatal(err)
		}
		owner, err := unix.IoctlGetUint32(int(f.Fd()), unix.NS_GET_OWNER_UID)
		f.Close()
		if err != nil || owner != 65534 {
			t.Errorf("flags %#x: owner of the user namespace = %d, %v; want 65534", flags, owner, err)
		}
		var ids []int
		if err := h.Call(t.Context(), "test.ids", nil, &ids); err != nil || ids[0] != 0 || ids[2] != 1 {
			t.Errorf("flags %#x: ids = %v, %v; want uid 0 and pid 1", flags, ids, err)
		}
	}
	plain := start(t, inside.Config{As: &syscall.Credential{Uid: 65534, Gid: 65534}})
	var ids []int
	if err := plain.Call(t.Context(), "test.ids", nil, &ids); err != nil || ids[0] != 65534 {
		t.Errorf("ids = %v, %v; want uid 65534", ids, err)
	}
}

func TestJoinFiles(t *testing.T) {
	needs.Root(t)
	first := start(t, inside.Config{Attr: rootInside(allFlags, 0)})
	files := map[string]string{}
	for _, kind := range allKinds {
		files[kind] = "/proc/" + itoa(first.Pid()) + "/ns/" + kind
	}
	second := start(t, inside.Config{Join: &inside.Join{Files: files}})
	if diff := cmp.Diff(nsLinks(t, first.Pid()), nsLinks(t, second.Pid())); diff != "" {
		t.Errorf("the joiner's namespaces (-target +joiner):\n%s", diff)
	}
	wrong := &inside.Join{Files: map[string]string{"uts": files["net"]}}
	if h, err := inside.Start(t.Context(), inside.Config{Join: wrong}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Start with a net file for uts = %v, %v; want EINVAL", h, err)
	}
}
