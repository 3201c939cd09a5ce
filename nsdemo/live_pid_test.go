package nsdemo_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/nsdemo"
)

func pidsOf(list []nsdemo.ProcessInfo) []int {
	var pids []int
	for _, p := range list {
		pids = append(pids, p.Pid)
	}
	return pids
}

func TestPidOneSeesItsOwn(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID, nsdemo.Mnt}, Proc: true})
	if pid := must(p.InnerPid(t.Context()))(t); pid != 1 {
		t.Errorf("inner pid = %d; want 1", pid)
	}
	child := must(p.Spawn(t.Context(), "sleep", "1000"))(t)
	eventually(t, "two processes inside", func() bool {
		return slices.Equal(pidsOf(must(p.Processes(t.Context()))(t)), []int{1, child})
	})
	st := must(nsdemo.ReadStatus(proc, p.Pid()))(t)
	if len(st.NSpid) < 2 || st.NSpid[0] != p.Pid() || st.InnerPid() != 1 {
		t.Errorf("NSpid of %d = %v; want that pid first and 1 last", p.Pid(), st.NSpid)
	}
	id := must(nsdemo.ID(proc, p.Pid(), nsdemo.PID))(t)
	if got := must(nsdemo.Members(proc, nsdemo.PID, id))(t); len(got) != 2 || got[0] != p.Pid() {
		t.Errorf("Members = %v; want the process %d and its child", got, p.Pid())
	}
}

func TestStaleProcShowsTheHost(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID, nsdemo.Mnt}})
	seen := pidsOf(must(p.Processes(t.Context()))(t))
	if !slices.Contains(seen, os.Getpid()) || !slices.Contains(seen, p.Pid()) {
		t.Errorf("pids in the old /proc = %v; want the host's, with %d and %d", seen, os.Getpid(), p.Pid())
	}
}

func TestKillingInitKillsAll(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID, nsdemo.Mnt}, Proc: true})
	must(p.Spawn(t.Context(), "sleep", "1000"))(t)
	second := join(t, p.Pid(), nsdemo.PID, nsdemo.Mnt)
	id := must(nsdemo.ID(proc, p.Pid(), nsdemo.PID))(t)

	// From inside: kill succeeds, and nothing happens.
	do(t, second.Kill(t.Context(), 1, unix.SIGKILL))
	time.Sleep(20 * time.Millisecond)
	if got := must(nsdemo.Members(proc, nsdemo.PID, id))(t); len(got) != 3 {
		t.Errorf("after SIGKILL from inside: members %v; want all three", got)
	}
	// From outside: it ends, and takes all along.
	do(t, p.Signal(unix.SIGKILL))
	eventually(t, "an empty namespace", func() bool {
		return len(must(nsdemo.Members(proc, nsdemo.PID, id))(t)) == 0
	})
}

// A program without handlers as pid 1: SIGTERM from inside does nothing either.
func TestInitWithoutHandler(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID, nsdemo.Mnt}, Proc: true})
	do(t, p.Exec(t.Context(), "sleep", "1000"))
	eventually(t, "sleep as pid 1", func() bool {
		st, err := nsdemo.ReadStatus(proc, p.Pid())
		return err == nil && st.Name == "sleep" && st.InnerPid() == 1
	})
	if must(nsdemo.ReadStatus(proc, p.Pid()))(t).Handles(unix.SIGTERM) {
		t.Error("sleep handles SIGTERM; want no handler")
	}
	second := join(t, p.Pid(), nsdemo.PID, nsdemo.Mnt)
	do(t, second.Kill(t.Context(), 1, unix.SIGTERM))
	time.Sleep(20 * time.Millisecond)
	if st := must(nsdemo.ReadStatus(proc, p.Pid()))(t); st.State == "Z" {
		t.Error("SIGTERM from inside ended pid 1")
	}
}

func TestKillIsRefusedOnTheHost(t *testing.T) {
	p := start(t, nsdemo.Spec{})
	if os.Getuid() == 0 && !nsdemo.PID.IsInitial(must(nsdemo.ID(proc, os.Getpid(), nsdemo.PID))(t)) {
		needs.Missing(t, "the initial pid namespace")
	}
	if err := p.Kill(t.Context(), p.Pid(), 0); err == nil {
		t.Error("Kill on the host's pids was not refused")
	}
	if err := p.Kill(t.Context(), -1, 0); err == nil {
		t.Error("Kill(-1) was not refused")
	}
}

func TestRunAndItsExitCode(t *testing.T) {
	p := start(t, nsdemo.Spec{})
	out := must(p.Run(t.Context(), "sh", "-c", "echo out; echo err >&2; exit 3"))(t)
	if want := (nsdemo.Output{Stdout: "out\n", Stderr: "err\n", ExitCode: 3}); out != want {
		t.Errorf("Run = %+v; want %+v", out, want)
	}
	if _, err := p.Run(t.Context(), "no-such-program"); err == nil {
		t.Error("Run of a program that is not there: no error")
	}
	if err := p.Exec(t.Context(), "/no/such"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Exec(/no/such) = %v; want ENOENT", err)
	}
}
