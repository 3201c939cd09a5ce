package shim

import (
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
)

// streams joins the ends of one process's standard files to whoever is attached:
// output goes to all of them and to the log, input comes from any of them.
type streams struct {
	mu     sync.Mutex
	out    [3][]output  // attached files, by descriptor number
	logs   [3]io.Writer // nil: not logged
	stdin  *os.File     // to the process: a pipe's end or the terminal; nil: none
	once   bool         // the end of the first one's input is the end of input
	master *os.File     // with a terminal
	copies sync.WaitGroup
}

// output is a client's file, and whom to tell that nobody reads it any more.
type output struct {
	*os.File
	broken func(name string)
}

func newStreams() (*streams, error) { return &streams{}, nil }

// attach adds the files of the client at the line's other end, and gives the way to
// take them out again.
func (s *streams) attach(line *minicontainer.Line, client minicontainer.Streams) (detach func()) {
	broken := func(name string) { line.Send(minicontainer.Reply{Broken: name}) }
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range map[int]*os.File{1: client.Out, 2: client.Err} {
		if f != nil {
			s.out[n] = append(s.out[n], output{f, broken})
		}
	}
	if client.In != nil {
		go s.feed(client.In)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for n, f := range map[int]*os.File{1: client.Out, 2: client.Err} {
			s.drop(n, f)
		}
		if client.In != nil {
			client.In.Close()
		}
	}
}

// drop forgets a client's file. The lock is held.
func (s *streams) drop(n int, f *os.File) {
	for i, have := range s.out[n] {
		if f != nil && have.File == f {
			s.out[n] = append(s.out[n][:i:i], s.out[n][i+1:]...)
			f.Close()
			return
		}
	}
}

// feed copies a client's input. It waits for the process's end to be there: the
// client may have come before it.
func (s *streams) feed(in *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		to := s.input()
		if n > 0 && to != nil {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.once && s.master == nil && s.stdin != nil {
		s.stdin.Close()
		s.stdin = nil
	}
}

// input is where input goes now: to the process of this life, once it is there.
func (s *streams) input() *os.File {
	for range 500 {
		s.mu.Lock()
		to := s.stdin
		s.mu.Unlock()
		if to != nil {
			return to
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// carry copies one output until its last writer is gone.
func (s *streams) carry(n int, from *os.File) {
	s.copies.Add(1)
	go func() {
		defer s.copies.Done()
		defer from.Close()
		buf := make([]byte, 32<<10)
		for {
			count, err := from.Read(buf)
			if count > 0 {
				s.emit(n, buf[:count])
			}
			if err != nil { // EOF; EIO from a terminal without a slave
				return
			}
		}
	}()
}

// emit writes to the log and to all who are attached. A client that is gone
// gives EPIPE, is told so and dropped; the log has it all the same.
func (s *streams) emit(n int, p []byte) {
	if log := s.logs[n]; log != nil {
		log.Write(p)
	}
	s.mu.Lock()
	clients := slices.Clone(s.out[n])
	s.mu.Unlock()
	for _, f := range clients {
		if _, err := f.Write(p); err != nil {
			s.mu.Lock()
			s.drop(n, f.File)
			s.mu.Unlock()
			f.broken([...]string{1: "stdout", 2: "stderr"}[n])
		}
	}
}

// settle waits until all output is through, but no longer than limit: a process
// that survived may hold a pipe open.
func (s *streams) settle(limit time.Duration) {
	done := make(chan struct{})
	go func() { s.copies.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin != nil && s.stdin != s.master {
		s.stdin.Close()
	}
	s.stdin, s.master = nil, nil
}

// resize sets the size of the terminal, if there is one (ioctl_tty(2), TIOCSWINSZ).
func (s *streams) resize(size minicontainer.Size) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.master == nil || size == (minicontainer.Size{}) {
		return
	}
	raw, err := s.master.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
}
