package nsdemo

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

type setnsRequest struct {
	Pid  int
	Kind Kind
}

var askSetns = verb("ns.setns", nothing(setns))

// Setns makes the process itself enter a namespace of another one, by setns(2)
// with a pidfd (Linux 5.8). pid is the other's in this process's pid namespace.
// For the kind pid it stays where it is, and its next children are in the new
// one. The kernel refuses user, mnt and time to a program with threads; a
// process made by [Join] is there.
func (p *Process) Setns(ctx context.Context, pid int, k Kind) error {
	_, err := askSetns(ctx, p, setnsRequest{pid, k})
	return err
}

func setns(r setnsRequest) error {
	fd, err := unix.PidfdOpen(r.Pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open(%d): %w", r.Pid, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, int(r.Kind.Flag())); err != nil {
		return fmt.Errorf("setns(pidfd of %d, %s): %w", r.Pid, r.Kind.FlagName(), err)
	}
	return nil
}
