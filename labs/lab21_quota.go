package labs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver"
	projectquota "cutaway/unionfs/quota"
)

const (
	xfsBytes   = 384 << 20 // mkfs.xfs wants 300 MB at least
	limitBytes = 10 << 20
	limitID    = 1000 // the project's number by hand; in Go the driver picks a free one
)

// onXFS plays /var/lib/docker on an XFS that counts by project.
func onXFS(b *bench.Bench) string { return runName(b) + "/on-xfs" }

func limitStep() bench.Step {
	return bench.Step{
		Name: "limit", Reproduces: []string{"drv-quota"}, Needs: needs("fs.xfs.quota"),
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			undos := []journal.Undo{undoLoop(b, runName(b)+"-xfs.img")}
			for _, dir := range []string{"", "overlay2/limited/merged", "overlay2/free/merged"} {
				undos = append(undos, journal.Undo{Kind: journal.Umount, Path: b.Path(onXFS(b), dir)})
			}
			return undos, nil
		},
		Do:     makeLimited,
		ByHand: bench.ByHand{Lines: limitLines, Tools: []bench.Tool{bench.Truncate, bench.Losetup, bench.Mkdir, bench.Mount, linker, mkfsXFS, {Program: "xfs_quota", Package: "xfsprogs"}, bench.Cat}},
		Look: []bench.View{
			{Title: "two containers on one XFS", Columns: []string{"limited", "free"}, Read: readLimits},
		},
		Expect: []evidence.Expectation{
			evidence.Custom("the limited container's folder has a project number, and a limit of 10 MiB", []string{"project", "limit, KiB"}, func(o evidence.Observed) evidence.Verdict {
				project, limit := o.After.Column("project", 0), o.After.Column("limit, KiB", 0)
				return evidence.Judged(project != "0" && project != evidence.Absent && limit == fmt.Sprint(limitBytes>>10), "a number above 0, and 10240", project+" and "+limit)
			}),
			evidence.Custom("the other one has neither", []string{"project", "limit, KiB"}, func(o evidence.Observed) evidence.Verdict {
				project, limit := o.After.Column("project", 1), o.After.Column("limit, KiB", 1)
				return evidence.Judged(project == "0" && limit == "none", "0 and none", project+" and "+limit)
			}),
			evidence.Custom("inside, df shows a disk of 10 MiB; beside it, the whole one", []string{"size in df, KiB"}, func(o evidence.Observed) evidence.Verdict {
				limited, free := o.After.Column("size in df, KiB", 0), o.After.Column("size in df, KiB", 1)
				whole, ok := evidence.Number(free)
				return evidence.Judged(limited == fmt.Sprint(limitBytes>>10) && ok && whole > 10*limitBytes>>10, "10240, and much more", limited+" and "+free)
			}),
		},
	}
}

// makeLimited makes the XFS, and has overlay2 make two containers on it, one with
// --storage-opt size=10M.
func makeLimited(ctx context.Context, b *bench.Bench) error {
	image, dir := runName(b)+"-xfs.img", onXFS(b)
	if err := errors.Join(attachSparse(b, "xfs", image, xfsBytes), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	device, err := loopOf(b, image)
	if err != nil {
		return err
	}
	if err := runTool(ctx, mkfsXFS, "-q", "-f", "-K", device); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, "xfs", 0, "prjquota"); err != nil {
		return fmt.Errorf("mount(%s, %s, xfs, prjquota): %w", device, dir, err)
	}
	d, err := driver.Open(b.Path(dir), "overlay2", driver.Options{})
	if err != nil {
		return err
	}
	return errors.Join(d.Create("image", "", unionfs.CreateOptions{}), makeBox(d, "limited", limitBytes), makeBox(d, "free", 0), d.Close())
}

// makeBox makes and mounts a container, with a link to its root.
func makeBox(d unionfs.Driver, id string, size uint64) error {
	if err := d.Create(id, "image", unionfs.CreateOptions{Size: size}); err != nil {
		return err
	}
	m, err := d.Mount(id, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	return os.Symlink(m.Path, id)
}

// limitLines do the same by hand. The number comes before anything is in the folder:
// it is inherited by what is made below.
func limitLines(b *bench.Bench) []string {
	home := "$N/on-xfs/overlay2"
	lines := append(attachLines("xfs", "$N-xfs.img", xfsBytes),
		"mkfs.xfs -q -f -K $(cat xfs.loop)",
		"mkdir -p $N/on-xfs",
		"mount -t xfs -o prjquota $(cat xfs.loop) $N/on-xfs",
		"mkdir -p "+home+"/image/diff "+home+"/limited "+home+"/free",
		fmt.Sprintf("xfs_quota -x -c 'project -s -p %s/limited %d' $N/on-xfs", b.Path(onXFS(b), "overlay2"), limitID),
		fmt.Sprintf("xfs_quota -x -c 'limit -p bhard=%dm %d' $N/on-xfs", limitBytes>>20, limitID))
	for _, id := range []string{"limited", "free"} {
		dir := home + "/" + id
		lines = append(lines,
			"mkdir "+dir+"/diff "+dir+"/work "+dir+"/merged",
			fmt.Sprintf("mount -t overlay overlay -o lowerdir=%s/image/diff,upperdir=%s/diff,workdir=%s/work %s/merged", home, dir, dir, dir),
			"ln -s "+dir+"/merged "+id)
	}
	return named(append(lines, "xfs_quota -x -c 'report -p' $N/on-xfs")...)(b)
}

// readLimits asks the quota of the folders (quotactl_fd(2)) and statfs(2) inside.
func readLimits(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var project, limit, used, size []string
	for _, id := range []string{"limited", "free"} {
		number, bytes, most, err := projectquota.Usage(onXFS(b) + "/overlay2/" + id)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, err
		}
		var st unix.Statfs_t
		if err := unix.Statfs(id, &st); err != nil {
			return nil, fmt.Errorf("statfs %s: %w", id, err)
		}
		project = append(project, fmt.Sprint(number))
		used, limit = append(used, fmt.Sprint(bytes>>10)), append(limit, fmt.Sprint(most>>10))
		if most == 0 {
			limit[len(limit)-1] = "none"
		}
		size = append(size, fmt.Sprint(int64(st.Blocks)*st.Bsize>>10))
	}
	return []evidence.Fact{
		evidence.F("project", "xfs_io -c 'lsproj' DIR", project...),
		evidence.F("limit, KiB", "xfs_quota -x -c 'report -p'", limit...),
		evidence.F("counted for the project, KiB", "xfs_quota -x -c 'report -p'", used...),
		evidence.F("size in df, KiB", "df MERGED", size...),
	}, nil
}

const fillMiB = 20 // what both containers try to write

func fullStep() bench.Step {
	return bench.Step{
		Name: "full", Reproduces: []string{"drv-quota"}, Needs: needs("fs.xfs.quota"),
		Do: func(context.Context, *bench.Bench) error {
			// The first write that does not fit ends with an error, which the views
			// ask for again.
			err := fillFile("limited/data")
			if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
				return fmt.Errorf("20 MiB into 10 MiB: %w", errors.Join(err, errors.ErrUnsupported))
			}
			return fillFile("free/data")
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				fmt.Sprintf("! dd if=/dev/zero of=limited/data bs=1M count=%d conv=fsync", fillMiB),
				fmt.Sprintf("dd if=/dev/zero of=free/data bs=1M count=%d conv=fsync", fillMiB)),
			Tools: []bench.Tool{bench.DD},
		},
		Look: []bench.View{{Title: "both tried to write 20 MiB", Columns: []string{"limited", "free", "the host, beside them"}, Read: readFull}},
		Expect: []evidence.Expectation{
			evidence.Custom("the limited container got no further than 10 MiB", []string{"written, KiB"}, func(o evidence.Observed) evidence.Verdict {
				kib, ok := evidence.Number(o.After.Column("written, KiB", 0))
				return evidence.Judged(ok && kib >= 8<<10 && kib <= limitBytes>>10, "8192 to 10240", fmt.Sprint(kib))
			}),
			evidence.Custom("to write more is answered as by a full disk", []string{"64 KiB more"}, func(o evidence.Observed) evidence.Verdict {
				got := o.After.Column("64 KiB more", 0)
				return evidence.Judged(got == "ENOSPC" || got == "EDQUOT", "ENOSPC or EDQUOT", got)
			}),
			evidence.Custom("the other container wrote all of it, and could go on", []string{"written, KiB", "64 KiB more"}, func(o evidence.Observed) evidence.Verdict {
				kib, more := o.After.Column("written, KiB", 1), o.After.Column("64 KiB more", 1)
				return evidence.Judged(kib == fmt.Sprint(fillMiB<<10) && more == "works", "20480, and works", kib+" and "+more)
			}),
			evidence.Custom("the host can write to the same disk", []string{"64 KiB more"}, func(o evidence.Observed) evidence.Verdict {
				got, limited := o.After.Column("64 KiB more", 2), o.After.Column("64 KiB more", 0)
				return evidence.Judged(got == "works" && limited != "works" && limited != evidence.Absent, "works, where the container cannot", got)
			}),
		},
	}
}

// fillFile writes 20 MiB of zeros, as far as it comes.
func fillFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	piece := make([]byte, 1<<20)
	for i := 0; i < fillMiB && err == nil; i++ {
		_, err = f.Write(piece)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// readFull measures the files, and tries to write a little more in three places. What
// it wrote it takes away again.
func readFull(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var written, more []string
	for _, dir := range []string{"limited", "free", onXFS(b)} {
		size := "nothing tried"
		if info, err := os.Stat(dir + "/data"); err == nil {
			size = fmt.Sprint(info.Size() >> 10)
		}
		written = append(written, size)
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		err := os.WriteFile(dir+"/more", make([]byte, 64<<10), 0o644)
		if err == nil {
			err = syncFS(dir)
		}
		more = append(more, answer(err))
		if err := os.Remove(dir + "/more"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return []evidence.Fact{
		evidence.F("written, KiB", "ls -l data", written...),
		evidence.F("64 KiB more", "dd if=/dev/zero of=more bs=64k count=1", more...),
	}, nil
}
