package aufs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Union is a mounted aufs, of either kind.
type Union struct {
	Target string
	Kind   Kind
}

// Spec says what to mount where.
type Spec struct {
	Options  string // what stands after -o: "br:/rw=rw:/ro=ro+wh"
	Target   string
	ReadOnly bool
	// ForceFUSE passes the kernel's module over where there is one.
	ForceFUSE bool
}

// Mount mounts a union: with mount(2) of type aufs where the kernel has it,
// else by starting a server in the background. The program must call Main.
func Mount(s Spec) (*Union, error) {
	target, err := filepath.Abs(s.Target)
	if err == nil {
		target, err = filepath.EvalSymlinks(target)
	}
	if err != nil {
		return nil, fmt.Errorf("mount point %s: %w", s.Target, err)
	}
	if _, err := ParseOptions(s.Options); err != nil {
		return nil, err
	}
	if !s.ForceFUSE && kernelHasAufs("/proc/filesystems") {
		return mountKernel(s, target)
	}
	if err := startServer(order{Options: s.Options, Target: target}, s.ReadOnly); err != nil {
		return nil, err
	}
	return &Union{Target: target, Kind: KindFUSE}, nil
}

// kernelHasAufs reads a file like /proc/filesystems.
func kernelHasAufs(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 0 && fields[len(fields)-1] == "aufs" {
			return true
		}
	}
	return false
}

func mountKernel(s Spec, target string) (*Union, error) {
	flags := uintptr(0)
	if s.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("none", target, "aufs", flags, s.Options); err != nil {
		return nil, fmt.Errorf("mount(none, %s, aufs, %q): %w", target, s.Options, err)
	}
	return &Union{Target: target, Kind: KindKernel}, nil
}

// startServer starts this program once more as the server, in a mount
// namespace of its own, and mounts what it serves here.
func startServer(o order, readOnly bool) error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/fuse: %w", err)
	}
	dev := os.NewFile(uintptr(fd), "/dev/fuse")
	defer dev.Close()
	answers, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe for the aufs server: %w", err)
	}
	defer answers.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{serverName}, ExtraFiles: []*os.File{theirs, dev},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS},
	}
	orders, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	theirs.Close()
	if err != nil {
		return fmt.Errorf("starting the aufs server: %w", err)
	}
	go cmd.Wait() // so that it is no zombie if we live longer
	defer orders.Close()
	return o.carryOut(fd, json.NewEncoder(orders), json.NewDecoder(answers), readOnly)
}

// carryOut leads the server through its two stages, with the mount in between:
// reading /dev/fuse before it is mounted would fail.
func (o order) carryOut(fd int, orders *json.Encoder, answers *json.Decoder, readOnly bool) error {
	orders.Encode(o)
	if err := hear(answers); err != nil {
		return err
	}
	if err := mountFuse(fd, o.Target, readOnly); err != nil {
		return err
	}
	orders.Encode(o)
	if err := hear(answers); err != nil {
		unix.Unmount(o.Target, unix.MNT_DETACH)
		return err
	}
	widenReads(o.Target)
	return nil
}

// hear waits for one answer of the server.
func hear(answers *json.Decoder) error {
	var out outcome
	if err := answers.Decode(&out); err != nil {
		return fmt.Errorf("the aufs server ended without an answer (does the program call aufs.Main?): %w",
			orElse(ignoreEOF(err), unix.EIO))
	}
	if out.Errno != 0 {
		errno := syscall.Errno(out.Errno)
		return fmt.Errorf("%s: %w", strings.TrimSuffix(out.Text, ": "+errno.Error()), errno)
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Find tells which union is mounted on target.
func Find(target string) (*Union, error) {
	abs, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(abs, &st); err != nil {
		return nil, fmt.Errorf("statfs of %s: %w", target, err)
	}
	switch {
	case int64(st.Type) == aufsMagic:
		return &Union{Target: abs, Kind: KindKernel}, nil
	case int64(st.Type) == fuseMagic && answersAsAufs(abs):
		return &Union{Target: abs, Kind: KindFUSE}, nil
	}
	return nil, fmt.Errorf("no aufs is mounted on %s: %w", target, unix.EINVAL)
}

// State reads the branch list back: from sysfs for the kernel's module, from
// the server otherwise.
func (u *Union) State() (State, error) {
	if u.Kind == KindFUSE {
		return askState(u.Target)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return State{}, err
	}
	defer f.Close()
	si, err := findSI(f, u.Target)
	if err != nil {
		return State{}, err
	}
	s, err := ReadSysfs(os.DirFS("/sys/fs/aufs/si_" + si))
	s.SI = si
	return s, err
}

// findSI finds the si= option of the topmost aufs mounted on target in a file
// like /proc/self/mountinfo.
func findSI(r io.Reader, target string) (si string, err error) {
	want := escapePath(target)
	for s := bufio.NewScanner(r); s.Scan(); {
		left, right, ok := strings.Cut(s.Text(), " - ")
		f := strings.Fields(left)
		if !ok || len(f) < 5 || f[4] != want || !strings.HasPrefix(right, "aufs ") {
			continue
		}
		for _, word := range strings.FieldsFunc(right, func(r rune) bool { return r == ' ' || r == ',' }) {
			if id, ok := strings.CutPrefix(word, "si="); ok {
				si = id
			}
		}
	}
	if si == "" {
		return "", fmt.Errorf("no aufs on %s in mountinfo: %w", target, unix.EINVAL)
	}
	return si, nil
}

// Remount changes branches: "append:/a=ro,del:/b". A path that
// does not exist fails all; an error found while acting leaves the earlier
// actions in force. Without actions the union looks at its branches anew.
func (u *Union) Remount(text string) error {
	if u.Kind == KindFUSE {
		return askRemount(u.Target, text)
	}
	if err := unix.Mount("none", u.Target, "aufs", unix.MS_REMOUNT, text); err != nil {
		return fmt.Errorf("mount(%s, MS_REMOUNT, %q): %w", u.Target, text, err)
	}
	return nil
}

// Unmount unmounts the union and waits for its server to end.
func (u *Union) Unmount() error {
	pidfd := -1
	if s, err := u.State(); err == nil && s.PID > 0 {
		pidfd, _ = unix.PidfdOpen(s.PID, 0)
	}
	if err := unix.Unmount(u.Target, 0); err != nil {
		return fmt.Errorf("umount(%s): %w", u.Target, err)
	}
	if pidfd >= 0 {
		defer unix.Close(pidfd)
		waitEnd(pidfd, 5*time.Second)
	}
	return nil
}

// waitEnd waits until the process behind a pidfd has ended.
func waitEnd(pidfd int, limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, int(time.Until(end).Milliseconds())); n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}
