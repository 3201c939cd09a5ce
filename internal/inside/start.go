package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config says where a helper shall be.
type Config struct {
	// Attr has the clone flags of new namespaces, id maps, cgroup fd, credential
	// and so on. Pdeathsig is always SIGKILL. Together with Join only Cloneflags
	// (without CLONE_NEWUSER) and Credential are possible.
	Attr *syscall.SysProcAttr
	// Join names namespaces to enter first.
	Join *Join
	// As is the user that does all of this. Attr.Credential would be applied
	// inside the new user namespace, where the ids mean something else.
	As *syscall.Credential
	// Offsets is written to timens_offsets of the new time namespace that
	// Attr.Cloneflags asks for: lines "monotonic SECONDS NANOSECONDS" and
	// "boottime SECONDS NANOSECONDS".
	Offsets string
	// Env is the helper's environment; nil means this process's own.
	Env []string
	// Files are passed on as fd 4 and up.
	Files []*os.File
	// Stderr gets what the helper writes to fd 2; nil keeps the last lines for
	// the error that tells of its end.
	Stderr io.Writer
}

// Start makes a helper and returns when it can take requests. ctx bounds the
// start only; [Helper.Close] ends the helper.
func Start(ctx context.Context, cfg Config) (*Helper, error) {
	if !mainCalled.Load() {
		return nil, errors.New("inside: this program never called inside.Main; " +
			"call it first in main or TestMain, or the helper would not know that it is one")
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("inside: %w", err)
	}
	h := newHelper()
	started := make(chan error)
	go h.keep(ctx, cfg, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start a helper: %w", err)
	}
	go h.readReplies()
	return h, nil
}

// keep is the keeper: the thread that is the helper's parent for the whole of
// its life. PR_SET_PDEATHSIG means the parent thread, not the parent process; a
// thread that the runtime ends at will would take the helper with it.
func (h *Helper) keep(ctx context.Context, cfg Config, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := h.launch(ctx, cfg)
	started <- err
	if err != nil {
		return
	}
	h.state, _ = h.proc.Wait()
	close(h.ended)
}

// launch makes the process, by way of an usher where one is needed, and waits
// for its hello. After an error nothing is left of it.
func (h *Helper) launch(ctx context.Context, cfg Config) (err error) {
	theirs, err := h.openSocket()
	if err != nil {
		return err
	}
	std, err := h.stdFiles(cfg.Stderr)
	if err != nil {
		return errors.Join(err, theirs.Close(), h.conn.Close())
	}
	files := append(append(std, theirs), cfg.Files...)
	first, err := spawn(cfg, files)
	for _, f := range files[:socketFD+1] {
		if f != cfg.Stderr { // a caller's own file stays the caller's
			f.Close()
		}
	}
	if err == nil {
		h.proc = first
		stop := context.AfterFunc(ctx, func() { h.conn.SetReadDeadline(time.Unix(1, 0)) })
		err = h.greet(cfg, len(files))
		if !stop() { // ctx ended first, and the deadline is or will be in force
			err = ctx.Err()
		}
	}
	if err != nil {
		h.abandon(first)
	}
	return err
}

// greet gives every usher on the way its orders, and waits until the helper has
// said hello. The last usher's report and the hello come in either order.
func (h *Helper) greet(cfg Config, files int) error {
	hello := false
	for _, o := range cfg.orders(files) {
		if err := h.requests.Encode(o); err != nil {
			return fmt.Errorf("give the usher its orders: %w%s", err, h.stderr.quote())
		}
		for next := 0; next == 0; {
			r, err := h.hear()
			hello = hello || r.Hello
			if next = r.Pid; next != 0 {
				h.proc.Wait() // the usher has done its work
				h.proc, _ = os.FindProcess(next)
			}
			if err != nil {
				return err
			}
		}
	}
	for !hello {
		r, err := h.hear()
		if err != nil {
			return err
		}
		hello = r.Hello
	}
	h.conn.SetReadDeadline(time.Time{})
	return nil
}

// hear reads one message of the start.
func (h *Helper) hear() (r reply, err error) {
	if err := h.replies.Decode(&r); err != nil {
		return r, fmt.Errorf("wait for the helper's hello: %w%s", err, h.stderr.quote())
	}
	if r.Err != nil {
		return r, r.Err
	}
	return r, nil
}

// openSocket keeps one end and returns the helper's.
func (h *Helper) openSocket() (theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair(AF_UNIX, SOCK_STREAM): %w", err)
	}
	unix.SetNonblock(fds[0], true)
	h.conn = os.NewFile(uintptr(fds[0]), "inside-socket")
	h.requests, h.replies = json.NewEncoder(h.conn), json.NewDecoder(h.conn)
	return os.NewFile(uintptr(fds[1]), "inside-socket"), nil
}

// abandon undoes a start that failed half-way. An usher may have left a child of
// ours behind whose pid nobody knows: one that died before its exec. It is in the
// process group that the first process made.
func (h *Helper) abandon(first *os.Process) {
	h.conn.Close()
	if h.proc != nil {
		h.proc.Kill()
		h.proc.Wait()
	}
	for err := error(nil); first != nil && (err == nil || err == unix.EINTR); {
		_, err = unix.Wait4(-first.Pid, nil, unix.WALL, nil)
	}
	h.stderr.close()
}
