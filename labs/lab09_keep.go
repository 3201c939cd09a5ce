package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// pinFile is the file on which the uts namespace of inner is bind-mounted.
const pinFile = "uts.ns"

func togetherPinStep() bench.Step {
	return bench.Step{
		Name: "pin", Inside: inner,
		Reproduces: []string{"ns-keep"},
		Do: func(_ context.Context, b *bench.Bench) error {
			pid, err := b.Pid(inner)
			if err != nil {
				return err
			}
			return nsdemo.Pin("/proc", pid, nsdemo.UTS, b.Path(pinFile))
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("touch "+pinFile, "mount --bind /proc/$(cat inner.pid)/ns/uts "+pinFile),
			Tools: []bench.Tool{{Program: "touch", Package: "coreutils"}, bench.Mount},
		},
		Look: []bench.View{{Title: "the pinned namespace", Read: readPin}, {Title: "its process", Read: readInnerUTS}},
		Expect: []evidence.Expectation{
			evidence.Becomes("in the lab host's mount table there is a file of the kind nsfs", "file system on uts.ns", evidence.Equals("nsfs")),
			evidence.Same("the file is the namespace that the process is in", "id of uts.ns", "uts namespace of inner"),
		},
	}
}

// readPin asks the pinned file, and looks for processes in its namespace.
func readPin(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	file := b.Path(pinFile)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	mounts, err := nsdemo.Mounts("/proc", os.Getpid())
	if err != nil {
		return nil, err
	}
	mount := nsdemo.MountAt(mounts, file)
	if mount == nil {
		return nil, fmt.Errorf("nothing is mounted on %s", file)
	}
	ns, err := nsdemo.InspectFile(file)
	if err != nil {
		return nil, err
	}
	members, err := nsdemo.Members("/proc", nsdemo.UTS, ns.Inode)
	return []evidence.Fact{
		evidence.F("file system on uts.ns", "/proc/self/mountinfo", mount.FSType),
		evidence.F("id of uts.ns", "stat --dereference --format %i uts.ns", fmt.Sprint(ns.Inode)),
		evidence.F("processes in the namespace", "ls -l /proc/[0-9]*/ns/uts", fmt.Sprint(len(members))),
	}, err
}

func readInnerUTS(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	return namespaceFact(nil, "uts namespace of inner", pid, nsdemo.UTS)
}

func togetherEndStep() bench.Step {
	return bench.Step{
		Name:       "end",
		Reproduces: []string{"ns-keep"},
		Do:         endInner,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"kill -9 $(cat inner.pid)",
				"while ls -l /proc/[0-9]*/ns/uts 2> /dev/null | grep -q $(stat --dereference --format %i uts.ns); do sleep 0.01; done"),
			Tools: []bench.Tool{{Program: "ls", Package: "coreutils"}, {Program: "grep", Package: "grep"}, {Program: "stat", Package: "coreutils"}, bench.Sleep},
		},
		Look: []bench.View{{Title: "the pinned namespace", Read: readPin}},
		Expect: []evidence.Expectation{
			evidence.Becomes("no process is in the namespace any more", "processes in the namespace", evidence.Equals("0")),
			evidence.Keeps("it is there all the same, with the id that it had", "id of uts.ns"),
		},
	}
}

// endInner kills process 1 of the pid namespace, and the kernel kills all others
// in it, the joiner among them (pid_namespaces(7)).
func endInner(ctx context.Context, b *bench.Bench) error {
	pid, err := b.Pid(inner)
	if err != nil {
		return err
	}
	id, err := nsdemo.ID("/proc", pid, nsdemo.UTS)
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("kill(%d, SIGKILL): %w", pid, err)
	}
	if err := errors.Join(b.Drop(inner), b.Drop(joiner)); err != nil {
		return err
	}
	return untilEmpty(ctx, id)
}

// untilEmpty waits for processes that came in by a shell line and end a moment
// later: nsenter stays in the namespace until it has reaped its child.
func untilEmpty(ctx context.Context, id uint64) error {
	for {
		members, err := nsdemo.Members("/proc", nsdemo.UTS, id)
		if err != nil || len(members) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v are still in the namespace: %w", members, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// visitor is a process that enters the namespace by its file.
const visitor = "visitor"

func togetherReenterStep() bench.Step {
	return bench.Step{
		Name: "re-enter", Inside: visitor,
		Reproduces: []string{"ns-keep"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := nsdemo.JoinFiles(ctx, map[nsdemo.Kind]string{nsdemo.UTS: b.Path(pinFile)})
			if err != nil {
				return err
			}
			return b.Keep(visitor, p)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"nsenter --uts=uts.ns sleep 1000 & echo $! > visitor.pid",
				"until [ $(readlink /proc/$(cat visitor.pid)/ns/uts) = uts:[$(stat --dereference --format %i uts.ns)] ]; do sleep 0.01; done",
				"nsenter --uts=uts.ns hostname"),
			Tools: []bench.Tool{bench.Nsenter, bench.Hostname, bench.Sleep},
		},
		Look: []bench.View{{Title: "the pinned namespace", Read: readPin}, {Title: "the visitor", Read: readVisitor}},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is a process in the namespace again", "processes in the namespace", evidence.AtLeast(1)),
			evidence.Keeps("the namespace is the one that had been left empty", "id of uts.ns"),
			evidence.Same("that is the one which the new process is in", "uts namespace of the visitor", "id of uts.ns"),
			evidence.Becomes("what was set in it is still set: the hostname", "hostname there", evidence.Param("hostname")),
		},
	}
}

// readVisitor reads where the visitor is, and what it finds there.
func readVisitor(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	hostname(b)
	pid, err := b.Pid(visitor)
	if err != nil {
		return nil, err
	}
	facts, err := namespaceFact(nil, "uts namespace of the visitor", pid, nsdemo.UTS)
	if err != nil {
		return facts, err
	}
	p, err := b.Inside(ctx, visitor)
	if err != nil {
		return facts, err
	}
	name, err := p.Hostname(ctx)
	return append(facts, evidence.F("hostname there", "uname(2) in the namespace", name)), err
}
