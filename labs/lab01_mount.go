package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// mountLab is lab 01: a table of mounts of one's own, and a root of one's own.
// The last four steps, which are about the root, stand in lab01_root.go.
func mountLab() bench.Lab {
	return bench.Lab{ID: "01", Name: "mount", Needs: needs("ns.mnt", "mount.pivot-root"), Steps: []bench.Step{
		mountTmpfsStep(),
		mountIDsStep(),
		sharedStep(),
		privateStep(),
		slaveStep(),
		chrootStep(),
		escapeStep(),
		pivotStep(),
		captiveStep(),
	}}
}

const diskSize = 20 << 20

func mountTmpfsStep() bench.Step {
	return bench.Step{
		Name: "tmpfs", Inside: inner,
		Reproduces: []string{"ns-mnt-tmpfs"},
		Do:         mountDiskInside,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"mkdir disk",
				"unshare --mount sleep 1000 & echo $! > inner.pid",
				waitUntilRuns(inner, "sleep"),
				"nsenter --target $(cat inner.pid) --mount mount -t tmpfs -o size=20m tmpfs $LAB/disk",
				"nsenter --target $(cat inner.pid) --mount sh -c 'echo hello > $LAB/disk/note'",
			),
			Tools: []bench.Tool{bench.Mkdir, bench.Unshare, bench.Sleep, bench.Nsenter, bench.Mount},
		},
		Look: []bench.View{{Title: "the folder disk, from both sides", Read: readDisk}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the mount is in the inner mount table", "disk in the inner mount table", evidence.Equals("tmpfs")),
			evidence.AlwaysIs("the mount is not in the host's mount table", "disk in the host's mount table", evidence.Gone()),
			evidence.Becomes("df inside says 20 MB", "df disk inside", evidence.Equals(fmt.Sprintf("%d bytes", diskSize))),
			evidence.Differ("df outside speaks of another file system, the one around the folder", "df disk inside", "df disk outside"),
			evidence.Becomes("a file written inside is there inside", "disk/note inside", evidence.Equals("hello")),
			evidence.AlwaysIs("outside, that file does not exist", "disk/note outside", evidence.Gone()),
		},
	}
}

// mountDiskInside makes a process in a new mount namespace, which mounts a
// tmpfs that only its own table lists.
func mountDiskInside(ctx context.Context, b *bench.Bench) error {
	if err := os.Mkdir(b.Path("disk"), 0o755); err != nil {
		return err
	}
	if err := startIn(nsdemo.Mnt)(ctx, b); err != nil {
		return err
	}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return err
	}
	if err := p.MountTmpfs(ctx, b.Path("disk"), diskSize); err != nil {
		return err
	}
	return p.WriteFile(ctx, b.Path("disk", "note"), "hello\n", 0o644)
}

// readDisk looks at one path through two mount tables: /proc/PID/root leads
// to the same place as the path does for the process.
func readDisk(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := diskThrough("outside", "host's", "/proc/self/mountinfo", os.Getpid(), "", b)
	pid, err := b.Pid(inner)
	if err != nil {
		return facts, err
	}
	root := fmt.Sprintf("/proc/%d/root", pid)
	return append(facts, diskThrough("inside", "inner", fmt.Sprintf("/proc/%d/mountinfo", pid), pid, root, b)...), nil
}

func diskThrough(where, whose, table string, pid int, root string, b *bench.Bench) []evidence.Fact {
	disk := root + b.Path("disk")
	size, note := evidence.Absent, evidence.Absent
	if usage, err := nsdemo.Statfs(disk); err == nil {
		size = fmt.Sprintf("%d bytes", usage.Size)
	}
	if text, err := os.ReadFile(disk + "/note"); err == nil {
		note = strings.TrimSpace(string(text))
	}
	return []evidence.Fact{
		evidence.F("disk in the "+whose+" mount table", table, mountedAt(pid, b.Path("disk"))),
		evidence.F("df disk "+where, "statfs(2) "+disk, size),
		evidence.F("disk/note "+where, disk+"/note", note),
	}
}

// mountedAt is the file system type that a process's mount table has at a
// path, or absent.
func mountedAt(pid int, path string) string {
	list, err := nsdemo.Mounts("/proc", pid)
	if err != nil {
		return evidence.Absent
	}
	if m := nsdemo.MountAt(list, path); m != nil {
		return m.FSType
	}
	return evidence.Absent
}

// The kinds that a process in a new mount namespace is compared by.
var comparedKinds = []nsdemo.Kind{nsdemo.Mnt, nsdemo.IPC, nsdemo.Net, nsdemo.PID, nsdemo.User, nsdemo.UTS}

func mountIDsStep() bench.Step {
	return bench.Step{
		Name: "ids", Inside: inner,
		Reproduces: []string{"ns-mnt-ids"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("ls -l /proc/self/ns", "nsenter --target $(cat inner.pid) --mount ls -l /proc/self/ns"),
			Tools: []bench.Tool{{Program: "ls", Package: "coreutils"}, bench.Nsenter},
		},
		Look: []bench.View{{Title: "namespace ids", Columns: []string{"inside", "host"}, Read: readIDs(comparedKinds...)}},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the mnt id inside is another one than outside", "mnt", 0, 1),
			onlyMountDiffers(),
		},
	}
}

func onlyMountDiffers() evidence.Expectation {
	var uses []string
	for _, k := range comparedKinds[1:] {
		uses = append(uses, string(k))
	}
	return evidence.Custom("the ids of ipc, net, pid, user and uts are equal", uses, func(o evidence.Observed) evidence.Verdict {
		var differ []string
		for _, k := range uses {
			in, out := o.After.Column(k, 0), o.After.Column(k, 1)
			if in == evidence.Absent || in != out {
				differ = append(differ, k)
			}
		}
		return evidence.Judged(len(differ) == 0, "the same id on both sides for all five", fmt.Sprintf("%d differ: %s", len(differ), strings.Join(differ, " ")))
	})
}

// guest is the process whose mount table is a copy that may stay tied to the
// host's.
const guest = "guest"

// The facts of the three steps on propagation.
const (
	parentInside = "type of the parent mount inside"
	hostOnHost   = "the host's mount, seen on the host"
	hostInside   = "the host's mount, seen inside"
	innerInside  = "the inner mount, seen inside"
	innerOnHost  = "the inner mount, seen on the host"
	typeAsSet    = "the parent mount inside has the type that was set"
)

func sharedStep() bench.Step {
	return propagationStep(nsdemo.Shared,
		bothSee("a mount made on the host crosses into the namespace", hostOnHost, hostInside),
		bothSee("a mount made inside crosses to the host", innerInside, innerOnHost))
}

func privateStep() bench.Step {
	return propagationStep(nsdemo.Private,
		oneSees("a mount made on the host stays outside of the namespace", hostOnHost, hostInside),
		oneSees("a mount made inside stays inside", innerInside, innerOnHost))
}

func slaveStep() bench.Step {
	return propagationStep(nsdemo.Slave,
		bothSee("a mount made on the host crosses into the namespace", hostOnHost, hostInside),
		oneSees("a mount made inside stays inside", innerInside, innerOnHost))
}

// propagationStep has a shared mount on the host, sets its copy in a new
// namespace to the type, and then mounts something below it on each side.
func propagationStep(to nsdemo.Propagation, crossing ...evidence.Expectation) bench.Step {
	return bench.Step{
		Name: string(to), Inside: guest,
		Reproduces: []string{"ns-mnt-propagation"},
		Do:         func(ctx context.Context, b *bench.Bench) error { return propagate(ctx, b, to) },
		ByHand: bench.ByHand{
			Lines: propagateByHand(string(to)),
			Tools: []bench.Tool{bench.Mkdir, bench.Mount, bench.Unshare, bench.Sleep, bench.Nsenter},
		},
		Look:   []bench.View{{Title: "who sees which mount", Read: readPropagation(to)}},
		Expect: append(crossing, evidence.Becomes(typeAsSet, parentInside, evidence.Equals(string(to)))),
	}
}

func bothSee(claim, maker, other string) evidence.Expectation {
	return evidence.Custom(claim, []string{maker, other}, func(o evidence.Observed) evidence.Verdict {
		a, b := o.After.Value(maker), o.After.Value(other)
		return evidence.Judged(a == "tmpfs" && b == "tmpfs", "mounted on both sides", a+" and "+b)
	})
}

func oneSees(claim, maker, other string) evidence.Expectation {
	return evidence.Custom(claim, []string{maker, other}, func(o evidence.Observed) evidence.Verdict {
		a, b := o.After.Value(maker), o.After.Value(other)
		return evidence.Judged(a == "tmpfs" && b == evidence.Absent, "mounted on the side that made it, absent on the other", a+" and "+b)
	})
}

// propagate makes the copy of the mount table without changing any type
// (Unchanged): only then do both copies of a shared mount stay peers.
func propagate(ctx context.Context, b *bench.Bench, to nsdemo.Propagation) error {
	parent := b.Path(string(to))
	host, err := nsdemo.Join(ctx, os.Getpid(), nsdemo.Mnt)
	if err != nil {
		return err
	}
	defer host.Close()
	if err := mountShared(ctx, host, parent); err != nil {
		return err
	}
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}, Propagation: nsdemo.Unchanged})
	if err != nil {
		return err
	}
	if err := b.Keep(guest, p); err != nil {
		return err
	}
	if err := p.SetPropagation(ctx, parent, to, false); err != nil {
		return err
	}
	return errors.Join(
		host.Mount(ctx, nsdemo.MountRequest{Source: "tmpfs", Target: parent + "/by-host", Type: "tmpfs"}),
		p.Mount(ctx, nsdemo.MountRequest{Source: "tmpfs", Target: parent + "/by-guest", Type: "tmpfs"}),
	)
}

// mountShared mounts a tmpfs with two folders in it, and has what is mounted
// below travel to every copy of it.
func mountShared(ctx context.Context, host *nsdemo.Process, parent string) error {
	if err := host.Mkdir(ctx, parent, 0o755); err != nil {
		return err
	}
	if err := host.Mount(ctx, nsdemo.MountRequest{Source: "tmpfs", Target: parent, Type: "tmpfs"}); err != nil {
		return err
	}
	return errors.Join(
		host.SetPropagation(ctx, parent, nsdemo.Shared, false),
		host.Mkdir(ctx, parent+"/by-host", 0o755),
		host.Mkdir(ctx, parent+"/by-guest", 0o755),
	)
}

func propagateByHand(to string) func(*bench.Bench) []string {
	return bench.Lines(
		"mkdir "+to+" && mount -t tmpfs tmpfs "+to+" && mount --make-shared "+to,
		"mkdir "+to+"/by-host "+to+"/by-guest",
		"unshare --mount --propagation unchanged sleep 1000 & echo $! > guest.pid",
		waitUntilRuns(guest, "sleep"),
		"nsenter --target $(cat guest.pid) --mount mount --make-"+to+" $LAB/"+to,
		"mount -t tmpfs tmpfs "+to+"/by-host",
		"nsenter --target $(cat guest.pid) --mount mount -t tmpfs tmpfs $LAB/"+to+"/by-guest",
	)
}

// readPropagation looks for both mounts in both tables. The process of an
// earlier step, whose copy is older than the parent mount, counts as none.
func readPropagation(to nsdemo.Propagation) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		parent := b.Path(string(to))
		table := "/proc/self/mountinfo"
		facts := []evidence.Fact{
			evidence.F(hostOnHost, table, mountedAt(os.Getpid(), parent+"/by-host")),
			evidence.F(innerOnHost, table, mountedAt(os.Getpid(), parent+"/by-guest")),
		}
		pid, err := b.Pid(guest)
		if err != nil {
			return facts, err
		}
		table = fmt.Sprintf("/proc/%d/mountinfo", pid)
		facts = append(facts,
			evidence.F(hostInside, table, mountedAt(pid, parent+"/by-host")),
			evidence.F(innerInside, table, mountedAt(pid, parent+"/by-guest")),
		)
		list, err := nsdemo.Mounts("/proc", pid)
		if m := nsdemo.MountAt(list, parent); m != nil {
			facts = append(facts, evidence.F(parentInside, table, string(nsdemo.PropagationOf(m))))
		}
		return facts, err
	}
}
