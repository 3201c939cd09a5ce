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

func TestSixNamespacesAsDockerMakes(t *testing.T) {
	needs.Root(t)
	p := start(t, nsdemo.Spec{Kinds: nsdemo.DockerKinds(), Hostname: "box", Proc: true})
	own, inside := must(nsdemo.IDs(proc, os.Getpid()))(t), must(p.IDs(t.Context()))(t)
	if diff := cmp.Diff(nsdemo.DockerKinds(), nsdemo.Differing(own, inside)); diff != "" {
		t.Errorf("kinds that differ (-want +got):\n%s", diff)
	}
}

func TestJoinerHasTheTargetsIDs(t *testing.T) {
	for _, spec := range []nsdemo.Spec{
		{Kinds: nsdemo.DockerKinds(), Proc: true},
		{Kinds: nsdemo.Kinds(), Proc: true, As: nobody()},
	} {
		if os.Getuid() != 0 {
			spec = nsdemo.Spec{Kinds: nsdemo.Kinds(), Proc: true}
		}
		target := start(t, spec)
		joiner := join(t, target.Pid())
		want := must(nsdemo.IDs(proc, target.Pid()))(t)
		if diff := cmp.Diff(want, must(nsdemo.IDs(proc, joiner.Pid()))(t)); diff != "" {
			t.Errorf("ids (-target +joiner):\n%s", diff)
		}
		if pid := must(joiner.InnerPid(t.Context()))(t); pid == 1 {
			t.Error("the joiner is pid 1")
		}
		// It can act there: the mount table is the target's.
		dir := tempDir(t)
		do(t, joiner.MountTmpfs(t.Context(), dir, 1<<20))
		if nsdemo.MountAt(must(nsdemo.Mounts(proc, target.Pid()))(t), dir) == nil {
			t.Error("the joiner's mount is not in the target's table")
		}
		if diff := cmp.Diff(must(target.Processes(t.Context()))(t), must(joiner.Processes(t.Context()))(t)); diff != "" {
			t.Errorf("processes (-target +joiner):\n%s", diff)
		}
	}
}

func TestStartBesideSharesSomeAndMakesTheRest(t *testing.T) {
	needs.Root(t)
	first := start(t, nsdemo.Spec{Kinds: nsdemo.DockerKinds(), Proc: true})
	own := []nsdemo.Kind{nsdemo.Mnt, nsdemo.PID}
	p, err := nsdemo.StartBeside(t.Context(), first.Pid(), []nsdemo.Kind{nsdemo.Net, nsdemo.UTS}, nsdemo.Spec{Kinds: own, Proc: true})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, p)
	firsts, beside := must(nsdemo.IDs(proc, first.Pid()))(t), must(nsdemo.IDs(proc, p.Pid()))(t)
	for _, k := range []nsdemo.Kind{nsdemo.Net, nsdemo.UTS} {
		if firsts[k] != beside[k] {
			t.Errorf("%s namespaces are %d and %d; want one", k, firsts[k], beside[k])
		}
	}
	for _, k := range own {
		if firsts[k] == beside[k] {
			t.Errorf("both are in the %s namespace %d; want two", k, firsts[k])
		}
	}
	if pid := must(p.InnerPid(t.Context()))(t); pid != 1 {
		t.Errorf("inner pid is %d; want 1", pid)
	}
	if _, err := nsdemo.StartBeside(t.Context(), first.Pid(), own, nsdemo.Spec{Kinds: own}); err == nil {
		t.Error("StartBeside that shares and makes the same kind gave no error")
	}
}

// setns(2) with a pid namespace counts for children alone: the caller stays.
func TestOnlyChildrenEnterAPidNamespace(t *testing.T) {
	needs.Root(t)
	p := start(t, nsdemo.Spec{})
	own := must(nsdemo.ID(proc, p.Pid(), nsdemo.PID))(t)
	do(t, p.Unshare(t.Context(), nsdemo.PID))
	if got := must(nsdemo.ID(proc, p.Pid(), nsdemo.PID))(t); got != own {
		t.Errorf("the process itself moved to %d", got)
	}
	first := must(p.Spawn(t.Context(), "sleep", "1000"))(t) // number 1 in there
	t.Cleanup(func() { unix.Kill(first, unix.SIGKILL) })
	if got := must(nsdemo.ChildrenID(proc, p.Pid(), nsdemo.PID))(t); got == own || got == 0 {
		t.Errorf("pid_for_children = %d; want another than %d", got, own)
	}
}

// What a shell made is read in the same way as what this package made.
func TestReadAProcessOfTheShell(t *testing.T) {
	needs.Root(t)
	pid := shell(t, "unshare", "--mount", "--uts", "--ipc", "--net", "sleep", "1000")
	eventually(t, "sleep", func() bool {
		st, err := nsdemo.ReadStatus(proc, pid)
		return err == nil && st.Name == "sleep"
	})
	own, theirs := must(nsdemo.IDs(proc, os.Getpid()))(t), must(nsdemo.IDs(proc, pid))(t)
	if diff := cmp.Diff([]nsdemo.Kind{"mnt", "uts", "ipc", "net"}, nsdemo.Differing(own, theirs)); diff != "" {
		t.Errorf("kinds that differ (-want +got):\n%s", diff)
	}
	p := join(t, pid, nsdemo.IPC, nsdemo.UTS, nsdemo.Net, nsdemo.Mnt)
	must(p.MsgGet(t.Context(), 5, 0o600))(t)
	do(t, p.SetHostname(t.Context(), "of-the-shell"))
	again := join(t, pid, nsdemo.IPC, nsdemo.UTS)
	if queues := must(again.MsgQueues(t.Context()))(t); len(queues) != 1 {
		t.Errorf("queues = %+v; want the one made before", queues)
	}
	if name := must(again.Hostname(t.Context()))(t); name != "of-the-shell" {
		t.Errorf("hostname = %q", name)
	}
}

func TestListAsLsnsDoes(t *testing.T) {
	needs.Root(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Net, nsdemo.UTS}})
	ids := must(nsdemo.IDs(proc, p.Pid()))(t)
	found := map[nsdemo.Kind]bool{}
	for _, ns := range must(nsdemo.List(proc))(t) {
		if ns.Inode != ids[ns.Kind] || !slices.Contains(ns.Pids, p.Pid()) {
			continue
		}
		found[ns.Kind] = true
		if ns.Kind == nsdemo.Net && (ns.Command != "cutaway-inside" || ns.UID != 0 || len(ns.Pids) != 1) {
			t.Errorf("listed: %+v; want one process, cutaway-inside, of uid 0", ns)
		}
	}
	if len(found) != len(ids) {
		t.Errorf("kinds listed for the process = %v; want all %d", found, len(ids))
	}
}

func TestPinKeepsANamespace(t *testing.T) {
	needs.Root(t)
	// The pins are in a mount namespace of their own, so that a failing test
	// leaves none on the machine; only the joiner has to find them there.
	dir := tempDir(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Net, nsdemo.UTS}, Hostname: "kept"})
	before := must(nsdemo.IDs(proc, p.Pid()))(t)
	pins := map[nsdemo.Kind]string{nsdemo.Net: dir + "/net", nsdemo.UTS: dir + "/uts"}
	for k, file := range pins {
		t.Cleanup(func() { do(t, nsdemo.Unpin(file)) })
		do(t, nsdemo.Pin(proc, p.Pid(), k, file))
	}
	do(t, p.Close())
	for k := range pins {
		if got := must(nsdemo.Members(proc, k, before[k]))(t); len(got) != 0 {
			t.Errorf("members of the kept %s namespace = %v; want none", k, got)
		}
	}
	again, err := nsdemo.JoinFiles(t.Context(), pins)
	do(t, err)
	closing(t, again)
	after := must(nsdemo.IDs(proc, again.Pid()))(t)
	if after[nsdemo.Net] != before[nsdemo.Net] || after[nsdemo.UTS] != before[nsdemo.UTS] {
		t.Errorf("ids after re-entry = %v; want %v", after, before)
	}
	if name := must(again.Hostname(t.Context()))(t); name != "kept" {
		t.Errorf("hostname after re-entry = %q; want kept", name)
	}
	ns := must(nsdemo.InspectFile(pins[nsdemo.Net]))(t)
	if ns.Kind != nsdemo.Net || ns.Inode != before[nsdemo.Net] {
		t.Errorf("InspectFile = %+v", ns)
	}
	for _, file := range pins {
		do(t, nsdemo.Unpin(file))
		do(t, nsdemo.Unpin(file)) // nothing there any more
	}
}

func TestPinLeavesNothingAfterAnError(t *testing.T) {
	needs.Root(t)
	file := tempDir(t) + "/pin"
	if err := nsdemo.Pin(proc, 1<<22, nsdemo.Net, file); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Pin of no process = %v; want ENOENT", err)
	}
	if _, err := os.Lstat(file); err == nil {
		t.Error("the file is there")
	}
	do(t, os.WriteFile(file, []byte("precious"), 0o600))
	if err := nsdemo.Pin(proc, os.Getpid(), nsdemo.Net, file); !errors.Is(err, unix.EEXIST) {
		t.Errorf("Pin on a file = %v; want EEXIST", err)
	}
	if err := nsdemo.Unpin(file); err == nil {
		t.Error("Unpin removed a file with content")
	}
}

func TestPinnedPidNamespaceWithoutInit(t *testing.T) {
	needs.Root(t)
	file := tempDir(t) + "/pid"
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID}})
	do(t, nsdemo.Pin(proc, p.Pid(), nsdemo.PID, file))
	t.Cleanup(func() { do(t, nsdemo.Unpin(file)) })
	do(t, p.Close())
	again, err := nsdemo.JoinFiles(t.Context(), map[nsdemo.Kind]string{nsdemo.PID: file})
	if err == nil {
		again.Close()
	}
	if !errors.Is(err, unix.ENOMEM) {
		t.Errorf("entering a pid namespace whose pid 1 has ended = %v; want ENOMEM", err)
	}
}

func TestStartLeavesNothingAfterAnError(t *testing.T) {
	needs.Root(t)
	before := residue()
	for _, s := range []nsdemo.Spec{
		{Kinds: []nsdemo.Kind{nsdemo.Cgroup}, CgroupDir: "/no/such"},
		{Kinds: []nsdemo.Kind{nsdemo.User}, UIDMap: []nsdemo.IDMap{{Inside: 0, Outside: 0, Count: 1}}, GIDMap: []nsdemo.IDMap{{Inside: 0, Outside: 0, Count: 1}}, As: nobody()},
	} {
		if p, err := nsdemo.Start(t.Context(), s); err == nil {
			p.Close()
			t.Errorf("Start(%+v) worked", s)
		}
	}
	if after := residue(); after != before {
		t.Errorf("residue: before\n%safter\n%s", before, after)
	}
}

// Who calls setns(2) keeps its pid; what it then starts is where it called to,
// and lives: Go's check of the death signal would have it kill itself there.
func TestSetnsSendsOnlyChildrenToAPidNamespace(t *testing.T) {
	needs.Root(t)
	target, caller := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID}}), start(t, nsdemo.Spec{})
	do(t, caller.Setns(t.Context(), target.Pid(), nsdemo.PID))
	own := must(nsdemo.ID(proc, os.Getpid(), nsdemo.PID))(t)
	want := must(nsdemo.ID(proc, target.Pid(), nsdemo.PID))(t)
	if got := must(nsdemo.ID(proc, caller.Pid(), nsdemo.PID))(t); got != own {
		t.Errorf("the caller is in pid namespace %d; want %d as before", got, own)
	}
	child := must(caller.Spawn(t.Context(), "sleep", "100"))(t)
	if got := must(nsdemo.ID(proc, child, nsdemo.PID))(t); got != want {
		t.Errorf("its child is in pid namespace %d; want the target's, %d", got, want)
	}
	do(t, target.Close())
	if _, err := nsdemo.ID(proc, child, nsdemo.PID); err == nil {
		t.Errorf("process %d outlives process 1 of its pid namespace", child)
	}
}
