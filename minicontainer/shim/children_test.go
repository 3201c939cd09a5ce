package shim

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestChildren has the reaper at work beside programs that others wait for.
func TestChildren(t *testing.T) {
	c := newChildren()
	for range 50 {
		var ended <-chan int
		err := c.while(func() error {
			// One that is waited for here, as a storage driver's are: not the reaper's.
			if out, err := exec.Command("sh", "-c", "echo mounted").Output(); err != nil || string(out) != "mounted\n" {
				t.Errorf("a program within while = %q, %v; want its output", out, err)
			}
			// And one that nobody waits for but the reaper.
			pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 7"}, &syscall.ProcAttr{})
			if err == nil {
				ended = c.watch(pid)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case code := <-ended:
			if code != 7 {
				t.Fatalf("the child ended with %d; want 7", code)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was told of the child's end")
		}
	}
}

// TestChildrenStolen is why drivers are within while: beside it the reaper may be faster.
func TestChildrenStolen(t *testing.T) {
	c := newChildren()
	for range 2000 {
		c.while(func() error { return nil }) // there may be children
		if err := exec.Command("true").Run(); errors.Is(err, syscall.ECHILD) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("2000 programs outside of while all kept their exit status; want one that the reaper took")
}
