package vm

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// consoleLog watches the guest's console: the only thing that still speaks when the
// kernel has died. It keeps the last lines and reports a panic.
type consoleLog struct {
	mu    sync.Mutex
	lines []string // at most consoleLines
	part  []byte   // a line that has not ended
	found bool
	panic chan struct{} // closed at the first sign of a panic
}

const (
	consoleLines = 200
	consoleWidth = 1024 // longer lines are cut: a broken guest may print for ever
)

func newConsoleLog() *consoleLog { return &consoleLog{panic: make(chan struct{})} }

// Write takes console output. It never fails.
func (c *consoleLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, p...)
	for {
		line, rest, ended := bytes.Cut(c.part, []byte("\n"))
		if !ended && len(c.part) < consoleWidth {
			return len(p), nil
		}
		c.add(string(line[:min(len(line), consoleWidth)]))
		c.part = append([]byte(nil), rest...)
	}
}

func (c *consoleLog) add(line string) {
	line = strings.TrimRight(line, "\r")
	if c.lines = append(c.lines, line); len(c.lines) > consoleLines {
		c.lines = c.lines[1:]
	}
	if !c.found && isPanic(line) {
		c.found = true
		close(c.panic)
	}
}

// Tail returns the last n lines that say anything.
func (c *consoleLog) Tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for i := len(c.lines) - 1; i >= 0 && len(out) < n; i-- {
		if strings.TrimSpace(c.lines[i]) != "" {
			out = append([]string{c.lines[i]}, out...)
		}
	}
	return strings.Join(out, "\n")
}

// PanicReport returns the first panic line and a few around it, or "".
func (c *consoleLog) PanicReport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, line := range c.lines {
		if isPanic(line) {
			return strings.Join(c.lines[max(0, i-3):min(len(c.lines), i+3)], "\n")
		}
	}
	return ""
}

// stampedLine is how the kernel prints: "[    1.234567] text".
var stampedLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:<\d>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? (.*)$`)
})

// isPanic recognizes the kernel's last words (kernel/panic.c), and only when the
// kernel says them: a program may print the same.
func isPanic(line string) bool {
	m := stampedLine().FindStringSubmatch(strings.TrimRight(line, "\r"))
	return m != nil && strings.HasPrefix(m[1], "Kernel panic - not syncing")
}
