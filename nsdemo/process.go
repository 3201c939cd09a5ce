package nsdemo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

// Process is a process in other namespaces that does what it is asked. It ends,
// and with it all that it made there, on Close or when its maker ends.
type Process struct {
	helper *inside.Helper
}

// Start makes a process in new namespaces by clone(2), and sets up in them what
// the spec asks for. ctx bounds the start alone. After an error nothing is left.
func Start(ctx context.Context, s Spec) (*Process, error) {
	maker := UserID{os.Geteuid(), os.Getegid()}
	cfg := inside.Config{Offsets: s.Offsets.Text()}
	if s.As != nil {
		maker = *s.As
		cfg.As = &syscall.Credential{Uid: uint32(maker.UID), Gid: uint32(maker.GID)}
	}
	attr, err := Plan(s, maker)
	if err != nil {
		return nil, err
	}
	cfg.Attr = attr
	helper, err := inside.Start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("clone into new namespaces %v as uid %d: %w", s.Kinds, maker.UID, err)
	}
	p := &Process{helper: helper}
	if err := p.setUp(ctx, s); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// setUp has an order that matters: propagation first, or the new /proc would be
// mounted on the host as well where / is shared (which breaks the host's ps).
func (p *Process) setUp(ctx context.Context, s Spec) error {
	propagation := s.Propagation
	if propagation == "" {
		propagation = Private
	}
	if s.Has(Mnt) && propagation != Unchanged {
		if err := p.SetPropagation(ctx, "/", propagation, true); err != nil {
			return err
		}
	}
	if s.Proc {
		if err := p.MountProc(ctx, "/proc"); err != nil {
			return err
		}
	}
	if s.Hostname != "" {
		if err := p.SetHostname(ctx, s.Hostname); err != nil {
			return err
		}
	}
	if s.CgroupDir == "" {
		return nil
	}
	if err := joinCgroup(s.CgroupDir, p.Pid()); err != nil {
		return err
	}
	return p.Unshare(ctx, Cgroup)
}

// joinCgroup writes to cgroup.procs, which v1 and v2 both have (cgroups(7)).
func joinCgroup(dir string, pid int) error {
	file := filepath.Join(dir, "cgroup.procs")
	if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0); err != nil {
		return fmt.Errorf("move process %d into the cgroup: %w", pid, err)
	}
	return nil
}

// Join makes a process in the namespaces of another one by setns(2), as docker
// exec does. Without kinds it joins all eight. The new process is a child of
// one that called setns, which is what it takes to be in the pid namespace.
func Join(ctx context.Context, pid int, kinds ...Kind) (*Process, error) {
	if len(kinds) == 0 {
		kinds = Kinds()
	}
	join := &inside.Join{Pid: pid}
	for _, k := range kinds {
		join.Kinds = append(join.Kinds, string(k))
	}
	return joinTo(ctx, join, fmt.Sprintf("the namespaces %v of process %d", kinds, pid))
}

// JoinFiles joins namespaces by their files, which may be pinned ones whose last
// process has ended. A pid namespace whose pid 1 has ended takes nobody (ENOMEM).
func JoinFiles(ctx context.Context, files map[Kind]string) (*Process, error) {
	join := &inside.Join{Files: map[string]string{}}
	for k, file := range files {
		join.Files[string(k)] = file
	}
	return joinTo(ctx, join, fmt.Sprintf("the namespace files %v", files))
}

func joinTo(ctx context.Context, join *inside.Join, what string) (*Process, error) {
	helper, err := inside.Start(ctx, inside.Config{Join: join})
	if err != nil {
		return nil, fmt.Errorf("setns to %s: %w", what, err)
	}
	return &Process{helper: helper}, nil
}

// Pid is the process's pid in the caller's pid namespace.
func (p *Process) Pid() int { return p.helper.Pid() }

// Signal sends a signal from outside, by pidfd_send_signal(2).
func (p *Process) Signal(sig unix.Signal) error { return p.helper.Process().Signal(sig) }

// Close ends the process, and waits until it is reaped. Safe to call twice.
func (p *Process) Close() error { return p.helper.Close() }

// verb gives a request its name, and its two ends types that fit. The do side
// runs in the process, on its main thread.
func verb[A, R any](name string, do func(context.Context, A) (R, error)) func(context.Context, *Process, A) (R, error) {
	inside.Register(name, func(ctx context.Context, packed json.RawMessage) (any, error) {
		var args A
		if err := json.Unmarshal(packed, &args); err != nil {
			return nil, fmt.Errorf("unpack the arguments of %s: %w", name, err)
		}
		return do(ctx, args)
	})
	return func(ctx context.Context, p *Process, args A) (result R, err error) {
		err = p.helper.Call(ctx, name, args, &result)
		return result, err
	}
}

// none is for verbs without arguments or without a result.
type none struct{}

// nothing makes a verb's do side of a function that returns only an error.
func nothing[A any](do func(A) error) func(context.Context, A) (none, error) {
	return func(_ context.Context, args A) (none, error) { return none{}, do(args) }
}
