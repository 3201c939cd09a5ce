package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// sitDown types a command of the world's program at a terminal.
func (w replayWorld) sitDown(t *testing.T, args ...string) *person {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	command := append(w.enter[1:len(w.enter):len(w.enter)], filepath.Join(w.dir, "d", "d"))
	return sitDownAt(t, exec.CommandContext(ctx, w.enter[0], append(command, args...)...))
}

// settings are the terminal's, as the kernel has them (ioctl_tty(2), TCGETS).
func (p *person) settings() unix.Termios {
	p.t.Helper()
	s, err := unix.IoctlGetTermios(int(p.terminal.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *s
}

// wantEnd waits for the end of what was typed, with an exit code.
func (p *person) wantEnd(code int) {
	p.t.Helper()
	got := 0
	var exit *exec.ExitError
	if err := p.waitForEnd(); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		p.t.Fatal(err)
	}
	if got != code {
		p.t.Errorf("exit code %d; want %d", got, code)
	}
}

// worksAtTheShell: the shell in the container knows the terminal's size, then
// and later, and gets what is typed, Ctrl-C too.
func (p *person) worksAtTheShell() {
	p.t.Helper()
	p.waitFor("/ # ")
	// It goes on until Ctrl-C, so nobody has to know how long the size takes.
	p.types("while :; do stty size; sleep 0.1; done\r")
	p.waitFor("40 100")
	p.resizes("50 132", pty.Winsize{Rows: 50, Cols: 132}, pty.Winsize{Rows: 40, Cols: 100})
	p.interrupts()
	// What the shell echoes is not yet what it does: while it edits a line, Ctrl-C
	// is a key like any other.
	p.types("echo as''leep; sleep 1000\r")
	p.waitFor("asleep")
	p.interrupts()
	p.types("echo it-was-$?\r")
	p.waitFor("it-was-130")
	p.waitFor("/ # ")
}

// resizes changes the terminal's size until that is seen. Once may not be enough:
// Docker's client asks for the size, and then for the signal; what comes in between
// it never hears of. And only a change is one, so it goes back first.
func (p *person) resizes(seen string, to, from pty.Winsize) {
	p.t.Helper()
	for range 10 {
		for _, size := range []pty.Winsize{from, to} {
			if err := pty.Setsize(p.terminal, &size); err != nil {
				p.t.Fatal(err)
			}
		}
		if p.sees(seen, 3*time.Second) {
			return
		}
	}
	p.t.Fatalf("the container does not hear of the terminal's size, %q", seen)
}

// interrupts presses Ctrl-C until the shell asks again. Once may not be enough:
// between two programs, the signal finds neither.
func (p *person) interrupts() {
	p.t.Helper()
	for range 30 {
		p.types("\x03")
		if p.sees("/ # ", time.Second) {
			return
		}
	}
	p.t.Fatal("Ctrl-C does not interrupt")
}

// testTerminal is somebody's way through run, attach and exec; flags say whose
// engine it is.
func testTerminal(t *testing.T, w replayWorld, flags ...string) {
	at := func(args ...string) *person {
		return w.sitDown(t, append(args[:1:1], append(flags, args[1:]...)...)...)
	}
	p := at("run", "-it", "--network", "none", "--name", "shell", "busybox", "sh")
	p.waitFor("/ # ") // by now it is raw
	p.types("\r")
	p.worksAtTheShell()
	p.types("\x10\x11") // Ctrl-P Ctrl-Q
	p.waitFor("read escape sequence")
	p.wantEnd(0)

	p = at("attach", "shell")
	p.types("\r") // the prompt was printed before
	p.worksAtTheShell()
	p.types("exit 7\r")
	p.wantEnd(7)

	w.must(t, strings.Join(append([]string{"d start"}, append(flags, "shell")...), " "))
	p = at("exec", "-it", "shell", "sh")
	p.worksAtTheShell()
	p.types("exit 5\r")
	p.wantEnd(5)

	p = at("exec", "-it", "shell", "sh", "-c", "echo begun; sleep 1000")
	p.waitFor("begun")
	p.types("\x10\x11")
	p.waitFor("read escape sequence")
	p.wantEnd(0)
	w.must(t, strings.Join(append([]string{"d top"}, append(flags, "shell", "| grep -q 'sleep 1000'")...), " "))
	w.must(t, strings.Join(append([]string{"d rm"}, append(flags, "-f", "shell")...), " "))
}

// TestTerminal goes through a real pseudo-terminal.
func TestTerminal(t *testing.T) {
	needs.Root(t)
	testTerminal(t, newReplayWorld(t))
}

// TestTerminalOfADaemon is the same by way of a daemon.
func TestTerminalOfADaemon(t *testing.T) {
	needs.Root(t)
	w := newReplayWorld(t)
	daemon := w.sitDown(t, "daemon")
	daemon.waitFor("answering on")
	testTerminal(t, w, "--host", "unix://"+w.dir+"/cutaway/api.sock")
	daemon.types("\x03")
	daemon.wantEnd(0)
}

// TestTerminalIsGivenBack: after the end, and after a failure, it is as before.
func TestTerminalIsGivenBack(t *testing.T) {
	needs.Root(t)
	w := newReplayWorld(t)
	fresh, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	defer slave.Close()
	before := (&person{t: t, terminal: fresh}).settings()
	for args, code := range map[string]int{"exit 3": 3, "kill -9 $$; exit 4": 4} {
		p := w.sitDown(t, "run", "-it", "--rm", "--network", "none", "busybox", "sh", "-c", "read line; "+args)
		for p.settings().Lflag&unix.ICANON != 0 { // until it is raw, a line would be the host's
			time.Sleep(5 * time.Millisecond)
		}
		p.types("go on\r")
		p.wantEnd(code)
		if diff := cmp.Diff(before, p.settings()); diff != "" {
			t.Errorf("sh -c %q: the terminal (-before +after):\n%s", args, diff)
		}
	}
	p := w.sitDown(t, "run", "-it", "--rm", "--network", "none", "busybox", "/no/such/program")
	p.wantEnd(127)
	if diff := cmp.Diff(before, p.settings()); diff != "" {
		t.Errorf("a program that is not there: the terminal (-before +after):\n%s", diff)
	}
}
