package nsdemo_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/nsdemo"
)

// innerRoot is what an ordinary user gets with no help; root becomes one first.
func innerRoot(more ...nsdemo.Kind) nsdemo.Spec {
	s := nsdemo.Spec{Kinds: append([]nsdemo.Kind{nsdemo.User}, more...), As: nobody()}
	if os.Getuid() != 0 {
		s.As = nil
	}
	return s
}

func outerID(s nsdemo.Spec) nsdemo.UserID {
	if s.As != nil {
		return *s.As
	}
	return nsdemo.UserID{UID: os.Getuid(), GID: os.Getgid()}
}

func TestOrdinaryUserBecomesRootInside(t *testing.T) {
	spec := innerRoot()
	p, who := start(t, spec), outerID(spec)
	if got := must(p.User(t.Context()))(t); got != (nsdemo.UserID{}) {
		t.Errorf("ids inside = %+v; want 0, 0", got)
	}
	st := must(nsdemo.ReadStatus(proc, p.Pid()))(t)
	if st.UID[0] != who.UID || st.GID[0] != who.GID {
		t.Errorf("ids outside = %v, %v; want %+v", st.UID, st.GID, who)
	}
	want := nsdemo.Mapping{
		UID: []nsdemo.IDMap{{Inside: 0, Outside: who.UID, Count: 1}},
		GID: []nsdemo.IDMap{{Inside: 0, Outside: who.GID, Count: 1}}, Setgroups: "deny",
	}
	if diff := cmp.Diff(want, must(nsdemo.ReadMapping(proc, p.Pid()))(t)); diff != "" {
		t.Errorf("ReadMapping (-want +got):\n%s", diff)
	}
	if names := nsdemo.CapabilityNames(st.CapEff); !slices.Contains(names, "CAP_SYS_ADMIN") || !slices.Contains(names, "CAP_SYS_BOOT") {
		t.Errorf("capabilities inside = %v; want all", names)
	}
	overflow := must(nsdemo.OverflowIDs(proc))(t)
	if root := must(p.Stat(t.Context(), "/"))(t); root.UID != overflow.UID || root.GID != overflow.GID {
		t.Errorf("owner of / seen inside = %+v; want the overflow ids %+v", root, overflow)
	}
}

func TestFileMadeInsideBelongsToTheOrdinaryUser(t *testing.T) {
	spec := innerRoot()
	p, who, file := start(t, spec), outerID(spec), tempDir(t)+"/made-inside"
	do(t, p.WriteFile(t.Context(), file, "x", 0o600))
	inside, outside := must(p.Stat(t.Context(), file))(t), must(nsdemo.Stat(file))(t)
	if inside.UID != 0 || inside.GID != 0 {
		t.Errorf("owner inside = %d:%d; want 0:0", inside.UID, inside.GID)
	}
	if outside.UID != who.UID || outside.GID != who.GID {
		t.Errorf("owner outside = %d:%d; want %d:%d", outside.UID, outside.GID, who.UID, who.GID)
	}
}

func TestInnerRootMayNotWhatTheHostsRootMay(t *testing.T) {
	spec := innerRoot(nsdemo.PID, nsdemo.Mnt)
	spec.Proc = true
	p := start(t, spec)
	if err := p.Reboot(t.Context()); !errors.Is(err, unix.EPERM) {
		t.Errorf("Reboot = %v; want EPERM", err)
	}
	if err := p.SetHostname(t.Context(), "cutaway-test"); !errors.Is(err, unix.EPERM) {
		t.Errorf("SetHostname of the host = %v; want EPERM", err)
	}
	err := p.MountDevice(t.Context(), "/dev/vda", tempDir(t))
	if errors.Is(err, unix.ENODEV) {
		needs.Missing(t, "a kernel with ext4")
	}
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("MountDevice = %v; want EPERM", err)
	}
	// The reason: the uts namespace is owned further out than the process is root.
	uts, user := must(nsdemo.Inspect(proc, p.Pid(), nsdemo.UTS))(t), must(nsdemo.Inspect(proc, p.Pid(), nsdemo.User))(t)
	if uts.OwnerNS == user.Inode {
		t.Errorf("owner of the uts namespace = %d; want the host's, not the inner one", uts.OwnerNS)
	}
	if user.OwnerUID != outerID(spec).UID {
		t.Errorf("owner of the user namespace = %d; want %d", user.OwnerUID, outerID(spec).UID)
	}
	mnt := must(nsdemo.Inspect(proc, p.Pid(), nsdemo.Mnt))(t)
	if mnt.OwnerNS != user.Inode {
		t.Errorf("owner of the mnt namespace = %d; want %d", mnt.OwnerNS, user.Inode)
	}
}

func TestAttemptsAreRefusedWhereTheyCouldSucceed(t *testing.T) {
	needs.Root(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	if !nsdemo.User.IsInitial(must(nsdemo.ID(proc, p.Pid(), nsdemo.User))(t)) {
		needs.Missing(t, "the initial user namespace")
	}
	if err := p.MountDevice(t.Context(), "/dev/vda", "/mnt"); err == nil || errors.Is(err, unix.EPERM) {
		t.Errorf("MountDevice as the host's root = %v; want refused before the kernel is asked", err)
	}
	if err := p.Reboot(t.Context()); err == nil || errors.Is(err, unix.EPERM) {
		t.Errorf("Reboot in the host's pid namespace = %v; want refused before the kernel is asked", err)
	}
}

// As root, a map of many ids, with another user's as the inner root.
func TestMapOfManyIDs(t *testing.T) {
	needs.Root(t)
	lines := []nsdemo.IDMap{{Inside: 0, Outside: 100000, Count: 65536}}
	for _, kinds := range [][]nsdemo.Kind{{nsdemo.User}, {nsdemo.User, nsdemo.Time, nsdemo.UTS, nsdemo.PID}} {
		p := start(t, nsdemo.Spec{Kinds: kinds, UIDMap: lines, GIDMap: lines, Setgroups: true})
		if st := must(nsdemo.ReadStatus(proc, p.Pid()))(t); st.UID[0] != 100000 || st.GID[0] != 100000 {
			t.Errorf("%v: ids outside = %v %v; want 100000", kinds, st.UID, st.GID)
		}
		if m := must(nsdemo.ReadMapping(proc, p.Pid()))(t); m.Setgroups != "allow" {
			t.Errorf("%v: setgroups = %q; want allow", kinds, m.Setgroups)
		}
	}
}

func TestOrdinaryUserNeedsAUserNamespace(t *testing.T) {
	needs.Root(t)
	p := start(t, innerRoot())
	if err := p.MountTmpfs(t.Context(), "/tmp", 1<<20); !errors.Is(err, unix.EPERM) {
		t.Errorf("mount in the host's mount namespace = %v; want EPERM", err)
	}
	err := p.Unshare(t.Context(), nsdemo.User)
	if !errors.Is(err, unix.EINVAL) {
		t.Errorf("unshare(CLONE_NEWUSER) with threads = %v; want EINVAL", err)
	}
}
