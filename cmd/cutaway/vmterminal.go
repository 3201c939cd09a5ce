package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"cutaway/internal/vm"
)

// attachTerminal makes a command interactive when both its ends are our terminal: the
// guest's terminal then does all editing and signals, so ours passes bytes as they are.
func attachTerminal(command *vm.Command) (restore func(), err error) {
	in, inOK := command.Stdin.(*os.File)
	out, outOK := command.Stdout.(*os.File)
	if !inOK || !outOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return func() {}, nil
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	command.TTY, command.Env = true, vm.GuestEnv(os.Getenv("TERM"))
	size := terminalSize(out)
	command.Rows, command.Cols = size[0], size[1]
	resize, unwatch := watchSize(out)
	command.Resize = resize
	return func() {
		unwatch()
		_ = term.Restore(int(in.Fd()), old)
	}, nil
}

func terminalSize(f *os.File) [2]uint16 {
	cols, rows, _ := term.GetSize(int(f.Fd()))
	return [2]uint16{uint16(rows), uint16(cols)}
}

// watchSize sends the terminal's new size after every SIGWINCH until unwatch.
func watchSize(f *os.File) (sizes <-chan [2]uint16, unwatch func()) {
	out, changed, done := make(chan [2]uint16), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		for {
			select {
			case <-changed:
			case <-done:
				return
			}
			select {
			case out <- terminalSize(f):
			case <-done:
				return
			}
		}
	}()
	return out, func() { signal.Stop(changed); close(done) }
}

// progressLine shows one line that is rewritten on a terminal, else one per step.
type progressLine struct {
	w        io.Writer
	terminal bool
	what     string
}

func newProgressLine(w io.Writer) *progressLine {
	f, ok := w.(*os.File)
	return &progressLine{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progressLine) report(done, total int64, what string) {
	switch {
	case p.terminal && total > 0:
		fmt.Fprintf(p.w, "\r\x1b[K%s  %d of %d MB", what, done>>20, total>>20)
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K%s", what)
	case what != p.what:
		fmt.Fprintln(p.w, what)
	}
	p.what = what
}

func (p *progressLine) end() {
	if p.terminal && p.what != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
