package labs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// ipcLab is lab 04: message queues that only those inside can find.
func ipcLab() bench.Lab {
	return bench.Lab{ID: "04", Name: "ipc", Needs: needs("ns.ipc", "ns.mnt"), Steps: []bench.Step{
		ipcStartStep(),
		sysvStep(),
		posixStep(),
	}}
}

func ipcStartStep() bench.Step {
	return bench.Step{
		Name: "start", Inside: inner,
		Do: startIn(nsdemo.IPC, nsdemo.Mnt),
		ByHand: bench.ByHand{
			Lines: bench.Lines("unshare --ipc --mount sleep 1000 & echo $! > inner.pid", waitUntilRuns(inner, "sleep")),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{"inside", "host"}, Read: readIDs(nsdemo.IPC, nsdemo.UTS)},
			{Title: "System V message queues", Read: readSysv},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the process has an ipc namespace of its own", "ipc", 0, 1),
			evidence.Becomes("unlike a uts namespace it begins empty, not as a copy", "queues inside", evidence.Equals("none")),
		},
	}
}

// queueKey is the key of the queue that Go makes; ipcmk(1) takes a random one.
const queueKey = 0xc07a

func sysvStep() bench.Step {
	return bench.Step{
		Name: "sysv", Inside: inner,
		Reproduces: []string{"ns-ipc-queue"},
		Do:         makeSysvQueue,
		ByHand: bench.ByHand{
			Lines: bench.Lines("nsenter --target $(cat inner.pid) --ipc ipcmk --queue", "nsenter --target $(cat inner.pid) --ipc ipcs --queues", "ipcs --queues"),
			Tools: []bench.Tool{bench.Nsenter, bench.Ipcmk, bench.Ipcs},
		},
		Look: []bench.View{{Title: "System V message queues", Read: readSysv}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the queue is listed inside, in /proc/sysvipc/msg", "queues inside", evidence.Matches("^0x[0-9a-f]{8}$")),
			evidence.Becomes("outside, the same file does not list it", "that queue, outside", evidence.Equals("not listed")),
		},
	}
}

// makeSysvQueue calls msgget(2) in the namespace.
func makeSysvQueue(ctx context.Context, b *bench.Bench) error {
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return err
	}
	_, err = p.MsgGet(ctx, queueKey, 0o600)
	return err
}

// readSysv reads the list inside, and looks for what it finds there outside:
// the machine may have queues of its own.
func readSysv(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return nil, err
	}
	in, err := p.MsgQueues(ctx)
	if err != nil {
		return nil, err
	}
	out, err := nsdemo.ReadMsgQueues("/proc")
	if err != nil || len(in) == 0 {
		return []evidence.Fact{evidence.F("queues inside", "/proc/sysvipc/msg, read inside", "none")}, err
	}
	var keys []string
	there := "not listed"
	for _, q := range in {
		keys = append(keys, fmt.Sprintf("0x%08x", uint32(q.Key)))
		if slices.ContainsFunc(out, func(o nsdemo.MsgQueue) bool { return o.Key == q.Key }) {
			there = "listed"
		}
	}
	return []evidence.Fact{
		evidence.F("queues inside", "/proc/sysvipc/msg, read inside", strings.Join(keys, " ")),
		evidence.F("that queue, outside", "/proc/sysvipc/msg", there),
	}, nil
}

const queueName = "cutaway-queue"

func posixStep() bench.Step {
	return bench.Step{
		Name: "posix", Inside: inner,
		Reproduces: []string{"ns-ipc-queue"},
		Do:         makePosixQueue,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"mkdir mqueue",
				"nsenter --target $(cat inner.pid) --ipc --mount mount -t mqueue mqueue $LAB/mqueue",
				"nsenter --target $(cat inner.pid) --ipc --mount touch $LAB/mqueue/"+queueName,
			),
			Tools: []bench.Tool{bench.Mkdir, bench.Nsenter, bench.Mount},
		},
		Look: []bench.View{{Title: "POSIX message queues", Read: readPosix}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the queue is listed inside", "queues inside", evidence.Equals(queueName)),
			evidence.Becomes("outside, nobody can open it: there is none of that name", "mq_open(2) of it outside", evidence.Equals("ENOENT")),
		},
	}
}

// makePosixQueue calls mq_open(2) with O_CREAT in the namespace.
func makePosixQueue(ctx context.Context, b *bench.Bench) error {
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return err
	}
	err = p.MQCreate(ctx, queueName)
	if errors.Is(err, unix.ENOSYS) {
		return &evidence.CannotTest{Reason: "this kernel has no POSIX message queues", WayOut: "boot one with CONFIG_POSIX_MQUEUE"}
	}
	return err
}

func readPosix(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return nil, err
	}
	names, err := p.MQList(ctx)
	if err != nil || len(names) == 0 {
		return []evidence.Fact{evidence.F("queues inside", "ls /dev/mqueue, if mounted inside", "none")}, err
	}
	return []evidence.Fact{
		evidence.F("queues inside", "ls /dev/mqueue, if mounted inside", strings.Join(names, " ")),
		evidence.F("mq_open(2) of it outside", "mq_open(2) /"+names[0], openQueue(names[0])),
	}, nil
}

// openQueue tries to open an existing queue of this process's own ipc
// namespace, and gives the kernel's answer.
func openQueue(name string) string {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return err.Error()
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(path)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0, 0)
	if errno != 0 {
		return unix.ErrnoName(errno)
	}
	unix.Close(int(fd))
	return "opened"
}
