package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// task is a program that the agent runs for the host.
type task struct {
	pid     int
	status  <-chan unix.WaitStatus
	tty     *os.File // the terminal's master side, or nil
	outputs []output
	input   *os.File // where its stdin is written
	theirs  []*os.File
}

// output is a pipe from the program and the channel that it is copied to.
type output struct {
	from *os.File
	ch   channel
}

// leftoverPatience bounds the wait for more output after the program has ended: all
// that it wrote is in the pipe by then, but a child may hold the other end open.
const leftoverPatience = 100 * time.Millisecond

// run starts a program, unless it is there already, copies its pipes and returns its
// exit code.
func (a *agent) run(s *stream, r request) (int, error) {
	t := a.takeSpare(r)
	if t == nil {
		var err error
		if t, err = a.start(r); err != nil {
			return 0, err
		}
	}
	defer t.close()
	a.remember(s.id, t)
	defer a.forget(s.id)
	copied := t.pump(s)
	ended := <-t.status
	for _, o := range t.outputs {
		_ = o.from.SetReadDeadline(time.Now().Add(leftoverPatience))
	}
	for range t.outputs {
		<-copied
	}
	return exitCode(ended), nil
}

// start starts a program with pipes of its own.
func (a *agent) start(r request) (*task, error) {
	env := r.Env
	if env == nil {
		env = GuestEnv("linux")
	}
	file, err := lookPath(r.Args[0], env)
	if err != nil {
		return nil, err
	}
	t, err := newTask(r)
	if err != nil {
		return nil, err
	}
	t.pid, t.status, err = a.children.Start(file, r.Args, t.attributes(r, env))
	closeAll(t.theirs)
	if err != nil {
		t.close()
		return nil, fmt.Errorf("execve(%s): %w", file, err)
	}
	return t, nil
}

func (a *agent) remember(id uint32, t *task) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tasks[id] = t
}

func (a *agent) forget(id uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tasks, id)
}

// newTask makes the pipes, or the terminal.
func newTask(r request) (*task, error) {
	if r.TTY {
		return newTerminal(r)
	}
	t := &task{}
	in, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t.theirs, t.input = append(t.theirs, in), ours
	for _, ch := range []channel{stdout, stderr} {
		ours, out, err := os.Pipe()
		if err != nil {
			t.close()
			closeAll(t.theirs)
			return nil, err
		}
		t.theirs, t.outputs = append(t.theirs, out), append(t.outputs, output{ours, ch})
	}
	return t, nil
}

func newTerminal(r request) (*task, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	t := &task{tty: master, input: master, outputs: []output{{master, stdout}}, theirs: []*os.File{slave}}
	if r.Rows > 0 && r.Cols > 0 {
		t.resize(r.Rows, r.Cols)
	}
	return t, nil
}

// attributes puts the program into a session of its own, so that one signal reaches
// it and its children, and makes the terminal its controlling one.
func (t *task) attributes(r request, env []string) *syscall.ProcAttr {
	attr := &syscall.ProcAttr{Dir: r.Dir, Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	if attr.Dir == "" {
		attr.Dir = "/root"
	}
	if r.UID != 0 || r.GID != 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: r.UID, Gid: r.GID}
		if r.Dir == "" {
			attr.Dir = "/"
		}
	}
	for fd := range 3 {
		attr.Files = append(attr.Files, t.theirs[min(fd, len(t.theirs)-1)].Fd())
	}
	if t.tty != nil {
		attr.Sys.Setctty, attr.Sys.Ctty = true, 0
		if r.UID != 0 {
			_ = t.theirs[0].Chown(int(r.UID), 5)
		}
	}
	return attr
}

// pump copies both ways. The channel gets one value per output that has ended.
func (t *task) pump(s *stream) <-chan struct{} {
	go func() {
		_, _ = io.Copy(t.input, s.in[stdin])
		if t.tty == nil {
			t.input.Close()
		}
		_, _ = io.Copy(io.Discard, s.in[stdin]) // the program may end first
	}()
	copied := make(chan struct{}, len(t.outputs))
	for _, o := range t.outputs {
		go func() {
			copyOutput(writer{s, o.ch}, o.from)
			copied <- struct{}{}
		}()
	}
	return copied
}

// copyOutput copies until the pipe ends. A deadline says that the program has ended;
// what it had written is still in the pipe then, and no more than that is waited for.
func copyOutput(w io.Writer, from *os.File) {
	_, err := io.CopyBuffer(w, struct{ io.Reader }{from}, make([]byte, maxPayload))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return // io.EOF; or EIO from a terminal that nobody holds open any more
	}
	_ = from.SetReadDeadline(time.Now().Add(leftoverPatience))
	_, _ = io.CopyN(w, from, waiting(from))
}

// waiting asks how many bytes are in a pipe or terminal: ioctl(TIOCINQ), ioctl_tty(2).
func waiting(f *os.File) (n int64) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	// Not f.Fd(): that would make the file blocking and its deadlines void.
	_ = conn.Control(func(fd uintptr) {
		if v, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil {
			n = int64(v)
		}
	})
	return n
}

func (t *task) resize(rows, cols uint16) {
	if t.tty != nil {
		_ = pty.Setsize(t.tty, &pty.Winsize{Rows: rows, Cols: cols})
	}
}

func (t *task) close() {
	t.input.Close()
	for _, o := range t.outputs {
		o.from.Close()
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// lookPath finds a program in the PATH of the environment that it will get.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, entry := range env {
		dirs, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(dirs) {
			file := filepath.Join(dir, name)
			if unix.Access(file, unix.X_OK) == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("%s: not found in the guest's PATH", name)
}

// exitCode counts as a shell does.
func exitCode(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
