package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// frontEnd is this terminal, or whatever the standard files are, joined to a
// container's process.
type frontEnd struct {
	p           *program
	tty, input  bool
	only        []string // -a: which of stdin, stdout, stderr; none is all
	detachKeys  string
	signals     bool // pass them on
	streams     minicontainer.Streams
	toContainer *os.File    // our end of its input
	saved       *term.State // of our terminal
	copies      sync.WaitGroup
	ours        []*os.File
	detached    chan struct{}
	events      chan os.Signal
}

func (p *program) inFront(tty, input bool, only []string) *frontEnd {
	return &frontEnd{p: p, tty: tty, input: input, only: only, detached: make(chan struct{})}
}

// checkTerminal: a terminal in there needs one out here.
func checkTerminal(wanted bool, in *os.File) error {
	if wanted && in != nil && !term.IsTerminal(int(in.Fd())) {
		return errors.New("the input device is not a TTY")
	}
	return nil
}

func (f *frontEnd) wants(stream string) bool {
	return len(f.only) == 0 || slices.Contains(f.only, stream)
}

// stay opens our ends, has something joined to them, and stays with it to its
// end, or until the keys that detach.
func (f *frontEnd) stay(e api.Backend, ref string, join func(string, *minicontainer.Streams) (api.Process, error)) error {
	defer f.restore()
	if err := f.open(); err != nil {
		return err
	}
	// Before there is somebody to pass them on to: from now on a signal is the container's.
	stop := f.catch()
	// Not waited for: each signal that is let go takes two switches of threads, and
	// the program is about to end.
	defer func() { go stop() }()
	s, err := join(ref, &f.streams)
	if err != nil {
		return err
	}
	return f.wait(e, ref, s)
}

// open makes the ends that the shim gets, and makes our terminal raw.
func (f *frontEnd) open() (err error) {
	if f.wants("stdout") {
		if f.streams.Out, err = f.output(f.p.out); err != nil {
			return err
		}
	}
	if f.wants("stderr") && !f.tty {
		if f.streams.Err, err = f.output(f.p.err); err != nil {
			return err
		}
	}
	if !f.input || !f.wants("stdin") && len(f.only) > 0 {
		return nil
	}
	if f.streams.In, f.toContainer, err = os.Pipe(); err != nil {
		return err
	}
	f.ours = append(f.ours, f.streams.In)
	if f.tty && f.p.in != nil && term.IsTerminal(int(f.p.in.Fd())) {
		if f.saved, err = term.MakeRaw(int(f.p.in.Fd())); err != nil {
			return fmt.Errorf("make the terminal raw: %w", err)
		}
	}
	go f.feed()
	return nil
}

// output is the file itself, which the shim writes to; in a test, a pipe to a
// buffer.
func (f *frontEnd) output(w io.Writer) (*os.File, error) {
	if file, is := w.(*os.File); is {
		return file, nil
	}
	r, file, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	f.ours = append(f.ours, file)
	f.copies.Add(1)
	go func() {
		defer f.copies.Done()
		io.Copy(w, r)
		r.Close()
	}()
	return file, nil
}

// feed copies our input until its end or the keys that detach.
func (f *frontEnd) feed() {
	defer f.toContainer.Close()
	if f.p.in == nil {
		return
	}
	if !f.tty {
		io.Copy(f.toContainer, f.p.in)
		return
	}
	keys := &keyWatch{keys: parseKeys(f.detachKeys)}
	buf := make([]byte, 4096)
	for {
		n, err := f.p.in.Read(buf)
		if n > 0 {
			out, detach := keys.take(buf[:n])
			f.toContainer.Write(out)
			if detach {
				close(f.detached)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// size is our terminal's.
func (f *frontEnd) size() minicontainer.Size {
	if file, is := f.p.out.(*os.File); is && f.tty {
		if cols, rows, err := term.GetSize(int(file.Fd())); err == nil {
			return minicontainer.Size{Rows: uint16(rows), Cols: uint16(cols)}
		}
	}
	return minicontainer.Size{}
}

// wait waits for the end of what was started and takes over its exit code.
func (f *frontEnd) wait(e api.Backend, ref string, s api.Process) error {
	if s == nil { // it ran already, and nothing was to be joined
		return nil
	}
	defer s.Close()
	f.closeOurs() // the shim has its own copies; ours would keep pipes open
	if size := f.size(); size != (minicontainer.Size{}) {
		s.Resize(size)
	}
	go f.follow(e, ref, s)
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		code, err := s.Wait()
		ended <- end{code, err}
	}()
	select {
	case <-f.detached:
		f.restore()
		fmt.Fprintln(f.p.err, "read escape sequence")
		return nil
	case x := <-ended:
		f.copies.Wait()
		f.restore()
		if x.err != nil {
			fmt.Fprintln(f.p.err, "Error:", x.err)
		}
		if x.code == 0 && x.err == nil {
			return nil
		}
		return exitError{code: x.code}
	}
}

func (f *frontEnd) closeOurs() {
	for _, file := range f.ours {
		file.Close()
	}
	f.ours = nil
}

// catch has signals kept for follow.
func (f *frontEnd) catch() (stop func()) {
	f.events = make(chan os.Signal, 16)
	signal.Notify(f.events, unix.SIGWINCH, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGCONT)
	return func() { signal.Stop(f.events); close(f.events) }
}

// follow passes on what happens to us: signals, and changes of the terminal's size.
func (f *frontEnd) follow(e api.Backend, ref string, s api.Process) {
	for ev := range f.events {
		sig, _ := ev.(unix.Signal)
		switch {
		case sig == unix.SIGWINCH:
			s.Resize(f.size())
		case f.signals:
			e.Kill(ref, sig)
		}
	}
}

// restore gives the terminal back as it was.
func (f *frontEnd) restore() {
	f.closeOurs()
	if f.saved != nil {
		term.Restore(int(f.p.in.Fd()), f.saved)
		f.saved = nil
	}
}
