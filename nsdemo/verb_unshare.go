package nsdemo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Unshare calls unshare(2) inside, for any kind but user. For pid and time the
// process itself stays where it is; its next children will be in the new one.
func (p *Process) Unshare(ctx context.Context, k Kind) error {
	_, err := askUnshare(ctx, p, unshareRequest{k})
	return err
}

type unshareRequest struct{ Kind Kind }

var askUnshare = verb("ns.unshare", nothing(unshare))

// unshare moves the main thread alone, which is what /proc/PID/ns shows.
func unshare(r unshareRequest) error {
	if r.Kind == User {
		return fmt.Errorf("unshare(CLONE_NEWUSER): %w: the kernel refuses it to a program with threads; start a process with one", unix.EINVAL)
	}
	if r.Kind == PID {
		// Go's os package forks a child once, to find out about pidfds (Go 1.23
		// and up). It would be pid 1 of the new namespace, and its exit the end
		// of it; so let that happen first.
		os.FindProcess(os.Getpid())
	}
	if err := unix.Unshare(int(r.Kind.Flag())); err != nil {
		return fmt.Errorf("unshare(%s): %w", r.Kind.FlagName(), err)
	}
	return nil
}

type withinRequest struct {
	Spec Spec
	Name string
	Args json.RawMessage
}

var askWithin = verb("ns.within", within)

// Reboot tries reboot(2) from a user namespace nested in this process's
// namespaces, with all capabilities there. The pid namespace belongs to the user
// namespace above, so CAP_SYS_BOOT is missing where it counts: EPERM. It refuses
// where this process is in the initial pid namespace.
func (p *Process) Reboot(ctx context.Context) error {
	_, err := askWithin(ctx, p, withinRequest{Spec: Spec{Kinds: []Kind{User}}, Name: "ns.reboot", Args: json.RawMessage("{}")})
	return err
}

// within starts a process in new namespaces from here, has it do one thing, and
// ends it. It needs a /proc of this pid namespace, to write the id maps.
func within(ctx context.Context, r withinRequest) (json.RawMessage, error) {
	nested, err := Start(ctx, r.Spec)
	if err != nil {
		return nil, err
	}
	defer nested.Close()
	var result json.RawMessage
	if err := nested.helper.Call(ctx, r.Name, r.Args, &result); err != nil {
		return nil, fmt.Errorf("in the nested %v: %w", r.Spec.Kinds, err)
	}
	return result, nil
}
