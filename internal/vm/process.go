package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a running QEMU.
type process struct {
	pid     int
	line    *os.File // our end of the virtio-serial port
	monitor *os.File // our end of QEMU's own line: see monitor.go
	console *consoleLog
	stderr  *bytes.Buffer // read it after ended
	ended   chan struct{}
	err     error // how it ended; read it after ended
}

// startQEMU starts QEMU in a process group of its own, so that Ctrl-C reaches us and
// not it, and so that it dies when we do.
func startQEMU(qemu string, cfg Config, accel string) (_ *process, err error) {
	p := &process{console: newConsoleLog(), stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	theirs, err := p.connect(cfg)
	defer closeAll(theirs)
	defer func() {
		if err != nil {
			p.hangUp()
		}
	}()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(qemu, cfg.arguments(accel)...)
	cmd.ExtraFiles = theirs
	cmd.Stderr = p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err = p.launch(cmd, out); err != nil {
		return nil, fmt.Errorf("start %s: %w", qemu, err)
	}
	return p, nil
}

// connect makes the files that QEMU inherits, from agentFD on. One that it does not
// get is nil, and its number is closed there.
func (p *process) connect(cfg Config) (theirs []*os.File, err error) {
	theirs = make([]*os.File, stateFD+1-agentFD)
	if p.line, theirs[0], err = socketpair("agent"); err != nil {
		return theirs, err
	}
	if p.monitor, theirs[monitorFD-agentFD], err = socketpair("monitor"); err != nil {
		return theirs, err
	}
	if cfg.ScratchMB > 0 {
		if theirs[scratchFD-agentFD], err = scratchDisk(os.TempDir(), cfg.ScratchMB); err != nil {
			return theirs, err
		}
	}
	if cfg.state != "" {
		theirs[stateFD-agentFD], err = os.Open(cfg.state)
	}
	return theirs, err
}

func socketpair(name string) (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair(AF_UNIX, SOCK_STREAM): %w", err)
	}
	return os.NewFile(uintptr(pair[0]), name), os.NewFile(uintptr(pair[1]), "QEMU's "+name), nil
}

// hangUp closes our ends. Closing a nil file is an error that nobody needs to know.
func (p *process) hangUp() {
	p.line.Close()
	p.monitor.Close()
}

// launch starts the command and waits for it in one locked thread: Pdeathsig fires
// when the thread that forked ends, not the process, and Go ends idle threads.
func (p *process) launch(cmd *exec.Cmd, out io.Reader) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		_, _ = io.Copy(p.console, out) // to its end: Wait closes the pipe
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return <-started
}

// Kill ends QEMU and whatever it may have started, and waits until they are gone.
// SIGKILL, because there is nothing in the guest to be saved, and a QEMU that waits
// for a device ignores SIGTERM.
func (p *process) Kill() {
	select {
	case <-p.ended:
	default:
		_ = unix.Kill(-p.pid, unix.SIGKILL)
		<-p.ended
	}
	p.hangUp()
}

// scratchDisk makes an empty sparse file without a name: O_TMPFILE never had one, so
// no crash can leave it behind.
func scratchDisk(dir string, megabytes int) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open(%s, O_TMPFILE|O_RDWR) for the scratch disk: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), "scratch disk")
	if err := f.Truncate(int64(megabytes) << 20); err != nil {
		return nil, errors.Join(fmt.Errorf("ftruncate(scratch disk, %d MB): %w", megabytes, err), f.Close())
	}
	return f, nil
}
