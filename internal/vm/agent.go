package vm

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// agent is the guest's end of the line.
type agent struct {
	link     *link
	children *children

	mu    sync.Mutex
	tasks map[uint32]*task
	spare *spare // or nil
}

func newAgent() *agent {
	return &agent{children: newChildren(), tasks: map[uint32]*task{}}
}

// Serve says hello and does what the host asks for until the line ends.
func (a *agent) Serve(line io.ReadWriter) error {
	a.link = newLink(line)
	if err := a.sayHello(); err != nil {
		return err
	}
	return a.link.Serve(a.handle)
}

func (a *agent) sayHello() error {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	h := hello{Release: release(), Uptime: float64(now.Nano()) / 1e9}
	if err := a.link.SendJSON(kindHello, 0, h); err != nil {
		return fmt.Errorf("say hello to the host: %w", err)
	}
	return nil
}

// handle takes one frame; it must not wait.
func (a *agent) handle(f frame) {
	switch f.Kind {
	case kindPing:
		_ = a.link.Send(frame{Kind: kindPong})
	case kindWake:
		if err := a.wakeUp(f.Payload); err != nil {
			fmt.Fprintln(os.Stderr, "cutaway init: wake up:", err) // the console tells why no hello comes
		}
	case kindOpen:
		var r request
		s, err := a.link.Open(f.Stream)
		if err != nil {
			return
		}
		if err := json.Unmarshal(f.Payload, &r); err != nil {
			r.Do = "unreadable request: " + err.Error()
		}
		go a.perform(s, r)
	case kindResize:
		if t := a.task(f.Stream); t != nil && len(f.Payload) == 4 {
			t.resize(binary.LittleEndian.Uint16(f.Payload), binary.LittleEndian.Uint16(f.Payload[2:]))
		}
	case kindSignal:
		if t := a.task(f.Stream); t != nil && len(f.Payload) == 1 {
			a.children.Signal(t.pid, unix.Signal(f.Payload[0]))
		}
	}
}

func (a *agent) task(id uint32) *task {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tasks[id]
}

// perform does one request and reports its outcome, which is the stream's last frame.
func (a *agent) perform(s *stream, r request) {
	var o outcome
	var err error
	switch r.Do {
	case "run":
		o.Exit, err = a.run(s, r)
	case "settle":
		err = a.settle()
	case "put":
		err = putFile(r.Path, os.FileMode(r.Mode), s.in[stdin])
	case "get":
		err = getFile(r.Path, writer{s, stdout})
	default:
		err = fmt.Errorf("the agent cannot %q", r.Do)
	}
	if err != nil {
		o = outcome{Exit: -1, Failed: err.Error()}
	}
	for _, ch := range []channel{stdout, stderr} {
		_ = writer{s, ch}.Close()
	}
	_ = a.link.SendJSON(kindExit, s.id, o)
	a.link.Close(s)
}

func putFile(path string, mode os.FileMode, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil { // the umask took from it
		return err
	}
	return f.Close()
}

func getFile(path string, to io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}
