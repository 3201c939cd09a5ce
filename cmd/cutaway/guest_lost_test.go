package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/labs/walk"
)

// A lab that loses its guest fails with the reason, and costs only itself: the next
// one gets a new machine.
func TestLabThatLosesItsGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: boots virtual machines; make test-guest")
	}
	s := withVM(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	// The first of them measures for seconds, so that its guest dies in the middle.
	cmd := s.command(ctx, "lab", "11", "13", "--json", "--on", "vm")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	qemu, states := 0, map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		e, err := walk.Decode(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if step, ok := e.(walk.StepEvent); ok && step.Lab == "11" && qemu == 0 {
			if qemu = childNamed(cmd.Process.Pid, "qemu-system"); qemu == 0 {
				t.Fatal("the lab is performed in a VM, and there is no QEMU")
			}
			_ = unix.Kill(qemu, unix.SIGKILL)
		}
		if l, ok := e.(walk.LabEvent); ok && l.State != walk.Start {
			states[l.Lab] = fmt.Sprintf("%s %s", l.State, l.Reason)
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d; want %d", code, exitFailed)
	}
	if !strings.HasPrefix(states["11"], "fail") || !strings.Contains(states["11"], "QEMU has ended") {
		t.Errorf("lab 11: %q; want that it failed since QEMU has ended", states["11"])
	}
	if !strings.HasPrefix(states["13"], "pass") {
		t.Errorf("lab 13: %q; want that it passed, in a new guest", states["13"])
	}
}

// childNamed finds a child of a process by how its name begins; 0 is none.
func childNamed(parent int, name string) int {
	for _, pid := range childrenOf(parent) {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.HasPrefix(string(comm), name) {
			return pid
		}
	}
	return 0
}
