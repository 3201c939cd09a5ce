package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"cutaway/internal/needs"
)

// person is somebody at a pseudo-terminal, who waits for what they want to
// read before they type.
type person struct {
	t        *testing.T
	terminal *os.File
	mu       sync.Mutex
	seen     bytes.Buffer
	read     int // how far they have read
	ended    chan error
}

func sitDown(t *testing.T, s *session, args ...string) *person {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return sitDownAt(t, s.command(ctx, args...))
}

func sitDownAt(t *testing.T, cmd *exec.Cmd) *person {
	t.Helper()
	cmd.SysProcAttr = nil // pty.Start makes the terminal the controlling one
	cmd.Env = append(cmd.Environ(), "TERM=xterm")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, terminal: terminal, ended: make(chan error, 1)}
	go func() {
		io.Copy(p, terminal)
		p.ended <- cmd.Wait()
	}()
	t.Cleanup(func() { terminal.Close() })
	return p
}

func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

// waitFor reads on until the text has come.
func (p *person) waitFor(text string) {
	p.t.Helper()
	if !p.sees(text, 30*time.Second) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Fatalf("waited in vain for %q; the screen since then:\n%s", text, p.seen.String()[p.read:])
	}
}

// sees reads on if the text comes within so long.
func (p *person) sees(text string, patience time.Duration) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		i := strings.Index(p.seen.String()[p.read:], text)
		if i >= 0 {
			p.read += i + len(text)
		}
		p.mu.Unlock()
		if i >= 0 {
			return true
		}
	}
	return false
}

func (p *person) types(keys string) { io.WriteString(p.terminal, keys) }

func (p *person) waitForEnd() error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(30 * time.Second):
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Fatalf("the program did not end; the screen since then:\n%s", p.seen.String()[p.read:])
		return nil
	}
}

func TestWalkAtATerminal(t *testing.T) {
	needs.Root(t)
	s := newSession(t)
	p := sitDown(t, s, "lab", "01", "--lang", "en")
	p.waitFor("Step 1 of")
	p.waitFor("[q] quit >")
	p.types("w")
	p.waitFor("Predict")
	p.waitFor("[q] quit >")
	p.types("n")
	p.waitFor("PASS")
	p.waitFor("Step 2 of")
	p.waitFor("[q] quit >")
	p.types("b")
	p.waitFor("Step 1 of")
	p.waitFor("[q] quit >")
	p.types("h")
	p.waitFor("Performed by hand")
	p.waitFor("PASS")
	p.waitFor("Step 2 of")
	p.waitFor("[s] shell inside")
	p.types("s")
	p.waitFor("inside#")
	p.types("echo in-$(readlink /proc/self/ns/mnt | tr -d '[]')\r")
	p.waitFor("in-mnt:4")
	p.types("exit\r")
	p.waitFor("[q] quit >")
	p.types("l")
	p.waitFor("lab host#")
	p.types("pwd; exit\r")
	p.waitFor("[q] quit >")
	p.types("q")
	p.waitForEnd()
	if _, err := os.Stat(s.runDir); err == nil {
		t.Error("quitting in the middle left the run folder")
	}
}

// Going back performs a step once more: what it made in the lab host's network
// must be out of the way by then.
func TestGoingBackInALabOnNetworks(t *testing.T) {
	needs.Root(t)
	p := sitDown(t, newSession(t), "lab", "26", "--lang", "en")
	for _, key := range []string{"n", "n", "b", "h"} {
		p.waitFor("[q] quit >")
		p.types(key)
		if key != "b" {
			p.waitFor("PASS")
		}
	}
	p.waitFor("[q] quit >")
	p.types("q")
	p.waitForEnd()
}

// Going back performs the earlier steps anew in the same lab host, so what they
// made there must be gone by then: here a network device.
func TestGoingBackBeginsAnew(t *testing.T) {
	needs.Root(t)
	p := sitDown(t, newSession(t), "lab", "06", "--lang", "en")
	for _, key := range []string{"n", "n", "b", "n", "n", "n", "n", "n", "n"} {
		p.waitFor("[q] quit >")
		p.types(key)
	}
	p.waitFor("1 passed, 0 failed")
	p.waitForEnd()
}

func TestWalkInChinese(t *testing.T) {
	needs.Root(t)
	p := sitDown(t, newSession(t), "lab", "01", "--lang", "zh")
	p.waitFor("退出 >")
	p.types("q")
	p.waitForEnd()
}

func TestCtrlCAtTheQuestionQuits(t *testing.T) {
	needs.Root(t)
	s := newSession(t)
	p := sitDown(t, s, "lab", "01", "--lang", "en")
	p.waitFor("[q] quit >")
	p.types("\x03")
	p.waitForEnd()
	if _, err := os.Stat(s.runDir); err == nil {
		t.Error("Ctrl-C left the run folder")
	}
}
