package nsdemo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	askMQCreate = verb("ns.mq-create", nothing(mqCreate))
	askMQUnlink = verb("ns.mq-unlink", nothing(mqUnlink))
	askMQList   = verb("ns.mq-list", func(context.Context, none) ([]string, error) { return MQList() })
)

type mqRequest struct{ Name string }

// MQCreate makes a POSIX message queue inside, by mq_open(2) with
// O_CREAT|O_EXCL. The name has no slash: the C library takes that off. It lives
// until MQUnlink, or until its ipc namespace ends.
func (p *Process) MQCreate(ctx context.Context, name string) error {
	_, err := askMQCreate(ctx, p, mqRequest{name})
	return err
}

func mqCreate(r mqRequest) error {
	if err := refuseInitial(IPC); err != nil {
		return err
	}
	name, err := unix.BytePtrFromString(r.Name)
	if err != nil {
		return fmt.Errorf("queue name %q: %w", r.Name, err)
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)),
		unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("mq_open(%q, O_CREAT|O_EXCL|O_RDWR): %w", r.Name, errno)
	}
	return unix.Close(int(fd))
}

// MQUnlink removes a POSIX message queue inside, by mq_unlink(2).
func (p *Process) MQUnlink(ctx context.Context, name string) error {
	_, err := askMQUnlink(ctx, p, mqRequest{name})
	return err
}

func mqUnlink(r mqRequest) error {
	name, err := unix.BytePtrFromString(r.Name)
	if err != nil {
		return fmt.Errorf("queue name %q: %w", r.Name, err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0); errno != 0 {
		return fmt.Errorf("mq_unlink(%q): %w", r.Name, errno)
	}
	return nil
}

// MQList lists the POSIX message queues inside, by name.
func (p *Process) MQList(ctx context.Context) ([]string, error) {
	return askMQList(ctx, p, none{})
}

// MQList lists the POSIX message queues of the caller's ipc namespace, as
// mounting an mqueue filesystem on /dev/mqueue shows them (mq_overview(7)). This
// one is never attached to any folder: fsmount(2) gives a mount that lives as
// long as its file descriptor. It needs CAP_SYS_ADMIN over the mount namespace.
func MQList() ([]string, error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen(mqueue): %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig(mqueue, FSCONFIG_CMD_CREATE): %w", err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fsmount(mqueue): %w", err)
	}
	defer unix.Close(mnt)
	dir, err := unix.Openat(mnt, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("openat(mqueue, .): %w", err)
	}
	f := os.NewFile(uintptr(dir), "mqueue")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
