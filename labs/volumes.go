package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
	"cutaway/volumedemo"
)

// The labs on volumes share what stands here. Where no image is needed, their
// containers are processes in a mount namespace of their own, with the folder
// "box" for a root: all that a mount needs to know of a container.
const boxRoot = "box"

// startBox starts such a container, with mounts asked for in Docker's words. They
// are made in its mount namespace before it moves to its new root, as a runtime
// does it: afterwards the host's folders would be out of its reach.
func startBox(ctx context.Context, b *bench.Bench, name string, asked ...volumedemo.Spec) error {
	points, err := volumeStore(b).Resolve(volumedemo.Request{Specs: asked})
	if err != nil {
		return err
	}
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Mnt}})
	if err != nil {
		return err
	}
	if err := b.Keep(name, p); err != nil {
		return err
	}
	if err := errors.Join(mountPrograms(ctx, p, b.Path(boxRoot)), attachAll(ctx, b, p.Pid(), points)); err != nil {
		return err
	}
	return p.PivotRoot(ctx, b.Path(boxRoot))
}

func attachAll(ctx context.Context, b *bench.Bench, pid int, points []volumedemo.Point) error {
	h, err := bench.Enter(ctx, pid, nil)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, m := range volumedemo.Mounts(points) {
		if err := volumedemo.AttachIn(ctx, h, b.Path(boxRoot), m); err != nil {
			return err
		}
	}
	return nil
}

// startBoxByHand is the same: lines is what to mount below box.
func startBoxByHand(name string, mounts ...string) string {
	script := append(mountProgramsByHand(boxRoot), mounts...)
	script = append(script, pivotByHand(boxRoot)+" sleep 1000")
	return "unshare --mount sh -c '" + strings.Join(script, " && ") + "' & echo $! > " + name + ".pid"
}

var boxTools = append([]bench.Tool{bench.Pivot, bench.Umount}, jailTools...)

// volumeStore keeps the volumes of a lab in its scratch folder.
func volumeStore(b *bench.Bench) *volumedemo.Store {
	return &volumedemo.Store{Dir: b.Path("volumes")}
}

// short reads one -v as if it were typed in the scratch folder.
func short(b *bench.Bench, text string) (volumedemo.Spec, error) {
	return volumedemo.ParseVolume(text, b.Dir)
}

// inBox is the path of a container's file as the host can open it.
func inBox(pid int, path string) string { return fmt.Sprintf("/proc/%d/root%s", pid, path) }

// fileText is what a file holds, or absent.
func fileText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return evidence.Absent
	}
	return strings.TrimSpace(string(text))
}

// mayWrite asks access(2) whether a file may be written, which tries nothing.
func mayWrite(path string) string {
	switch err := unix.Access(path, unix.W_OK); err {
	case nil:
		return "yes"
	case unix.ENOENT:
		return evidence.Absent
	case unix.EROFS:
		return "no: read-only file system (EROFS)"
	default:
		return "no: " + err.Error()
	}
}

// mountLine tells what a process's mount table says about a place: which part
// of which file system is to be seen there, and how.
func mountLine(pid int, path string) (source, options string) {
	list, err := nsdemo.Mounts("/proc", pid)
	if err != nil {
		return evidence.Absent, evidence.Absent
	}
	m := nsdemo.MountAt(list, path)
	if m == nil {
		return evidence.Absent, evidence.Absent
	}
	return fmt.Sprintf("%s of %s", m.Root, m.FSType), m.Options
}

// otherThanBefore claims that the act changed a fact from one value to another.
func otherThanBefore(claim, fact string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		before, after := o.Before.Value(fact), o.After.Value(fact)
		ok := before != after && before != evidence.Absent && after != evidence.Absent
		return evidence.Judged(ok, fact+" other than before", before+", then "+after)
	})
}

// running tells whether there is a process of that name.
func running(b *bench.Bench, name string) string {
	if _, err := b.Pid(name); err != nil {
		return evidence.Absent
	}
	return "runs"
}
