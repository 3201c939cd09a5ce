package nsdemo

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

var (
	askMsgGet    = verb("ns.msgget", func(_ context.Context, r msgRequest) (int, error) { return msgGet(r) })
	askMsgRemove = verb("ns.msgrm", nothing(msgRemove))
	askMsgQueues = verb("ns.msgqueues", func(context.Context, none) ([]MsgQueue, error) { return ReadMsgQueues("/proc") })
)

type msgRequest struct {
	Key  int32
	Mode uint32
	ID   int
}

// MsgGet makes a System V message queue inside, by msgget(2) with
// IPC_CREAT|IPC_EXCL, and returns its id. It lives until MsgRemove, or until its
// ipc namespace ends.
func (p *Process) MsgGet(ctx context.Context, key int32, mode uint32) (id int, err error) {
	return askMsgGet(ctx, p, msgRequest{Key: key, Mode: mode})
}

// From linux/ipc.h.
const (
	ipcCreat = 0o1000
	ipcExcl  = 0o2000
	ipcRmid  = 0
)

// msgGet refuses the host's ipc namespace: what is made there outlives us.
func msgGet(r msgRequest) (int, error) {
	if err := refuseInitial(IPC); err != nil {
		return 0, err
	}
	id, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(r.Key), uintptr(r.Mode|ipcCreat|ipcExcl), 0)
	if errno != 0 {
		return 0, fmt.Errorf("msgget(key %#x, IPC_CREAT|IPC_EXCL|%#o): %w", r.Key, r.Mode, errno)
	}
	return int(id), nil
}

// MsgRemove removes a System V message queue inside, by msgctl(2) with IPC_RMID.
func (p *Process) MsgRemove(ctx context.Context, id int) error {
	_, err := askMsgRemove(ctx, p, msgRequest{ID: id})
	return err
}

func msgRemove(r msgRequest) error {
	if _, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(r.ID), ipcRmid, 0); errno != 0 {
		return fmt.Errorf("msgctl(%d, IPC_RMID): %w", r.ID, errno)
	}
	return nil
}

// MsgQueues reads /proc/sysvipc/msg inside.
func (p *Process) MsgQueues(ctx context.Context) ([]MsgQueue, error) {
	return askMsgQueues(ctx, p, none{})
}
