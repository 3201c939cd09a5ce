package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver"
	"cutaway/unionfs/driver/devicemapper"
)

// compareLab is lab 21: the same image and container on each driver, measured.
func compareLab() bench.Lab {
	return bench.Lab{ID: "21", Name: "compare", Needs: needs("overlay.works", "fuse", "loop", "fs.btrfs"), Steps: []bench.Step{
		stacksStep(),
		blockStep(),
		firstWriteStep(),
		measuredStep(),
		limitStep(),
		fullStep(),
	}}
}

// stacked are the drivers of the first step; "devicemapper" needs more of the kernel.
func stacked() []string { return []string{"overlay2", "aufs", "vfs", "btrfs"} }

func compared() []string { return append(stacked(), "devicemapper") }

// smallFiles is how many files of 4 KiB the image has beside the large ones.
const smallFiles = 50

// largeMiB are the sizes of the large files, up to --set largest=MiB. All is in
// memory, so the default goes by how much there is.
func largeMiB(b *bench.Bench) []int {
	var info unix.Sysinfo_t
	otherwise := "16"
	if unix.Sysinfo(&info) == nil && info.Totalram*uint64(info.Unit) > 8<<30 {
		otherwise = "64"
	}
	var largest int
	if _, err := fmt.Sscan(b.Param("largest", otherwise), &largest); err != nil || largest < 4 || largest > 1024 {
		largest = 16
	}
	sizes := []int{1}
	for s := 4; s < largest; s *= 4 {
		sizes = append(sizes, s)
	}
	return append(sizes, largest)
}

// largestMiB is the last of them.
func largestMiB(b *bench.Bench) int { return slices.Max(largeMiB(b)) }

func largeName(mib int) string { return fmt.Sprintf("large-%d", mib) }

// withCompared opens a driver on the lab's store. That of btrfs lies on a btrfs.
func withCompared(b *bench.Bench, name string, do func(unionfs.Driver) error) error {
	if name == "devicemapper" {
		return withDriver(b, func(d *devicemapper.Driver) error { return do(d) })
	}
	d, err := driver.Open(b.Path(storeRoot(b, name)), name, driver.Options{})
	if err != nil {
		return err
	}
	return errors.Join(do(d), d.Close())
}

// storeRoot plays /var/lib/docker.
func storeRoot(b *bench.Bench, name string) string {
	if name == "btrfs" {
		return runName(b) + "/on-btrfs"
	}
	return runName(b)
}

// boxOf is a link to the root of the container of a driver, so that it need not be
// looked for in six places.
func boxOf(name string) string { return "box-" + name }

func stacksStep() bench.Step {
	return bench.Step{
		Name: "stacks", Reproduces: []string{"drv-compare"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			undos := []journal.Undo{undoLoop(b, runName(b)+"-btrfs.img")}
			for _, dir := range []string{"on-btrfs", "overlay2/box/merged", "aufs/mnt/box"} {
				undos = append(undos, journal.Undo{Kind: journal.Umount, Path: b.Path(runName(b), dir)})
			}
			return undos, nil
		},
		Do: buildStacks,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string { return named(stackLines(b)...)(b) },
			Tools: []bench.Tool{bench.Mkdir, bench.Truncate, bench.Losetup, bench.Mount, bench.Cat, cutaway(), copier, linker,
				{Program: "yes", Package: "coreutils"}, mkfsBtrfs, {Program: "btrfs", Package: "btrfs-progs"}},
		},
		Look: []bench.View{{Title: "the container of each driver", Columns: []string{"file system", "files that it sees", "KiB in the store"}, Read: readStacks}},
		Expect: []evidence.Expectation{
			seesTheImage("overlay2"), seesTheImage("aufs"), seesTheImage("vfs"), seesTheImage("btrfs"),
			evidence.Custom("with vfs everything is there twice: image and container", []string{"vfs", "overlay2"}, func(o evidence.Observed) evidence.Verdict {
				copies, _ := evidence.Number(o.After.Column("vfs", 2))
				overlay, ok := evidence.Number(o.After.Column("overlay2", 2))
				return evidence.Judged(ok && overlay > 0 && copies >= 1.9*overlay, "at least 1.9 times what overlay2 takes", fmt.Sprintf("%g and %g KiB", copies, overlay))
			}),
		},
	}
}

var (
	copier = bench.Tool{Program: "cp", Package: "coreutils"}
	linker = bench.Tool{Program: "ln", Package: "coreutils"}

	mkfsBtrfs = bench.Tool{Program: "mkfs.btrfs", Package: "btrfs-progs"}
	mkfsXFS   = bench.Tool{Program: "mkfs.xfs", Package: "xfsprogs"}
)

// seesTheImage claims that a driver's container has all files of the image.
func seesTheImage(name string) evidence.Expectation {
	return evidence.Custom("the container on "+name+" sees all files of the image", []string{name}, func(o evidence.Observed) evidence.Verdict {
		got := o.After.Column(name, 1)
		return evidence.Judged(strings.HasPrefix(got, fmt.Sprint(smallFiles, " small")) && !strings.HasSuffix(got, " 0 large"), "all small ones and the large ones", got)
	})
}

// buildStacks has each driver make an image of the same files, and a container on it.
func buildStacks(ctx context.Context, b *bench.Bench) error {
	if err := mountStoreOfBtrfs(ctx, b); err != nil {
		return err
	}
	for _, name := range stacked() {
		if err := withCompared(b, name, func(d unionfs.Driver) error { return buildStack(b, d) }); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// writeImageFiles makes the files of the image in a folder.
func writeImageFiles(b *bench.Bench, dir string) error {
	if err := os.MkdirAll(dir+"/small", 0o755); err != nil {
		return err
	}
	for _, mib := range largeMiB(b) {
		if err := writeBig(dir+"/"+largeName(mib), int64(mib)<<20); err != nil {
			return err
		}
	}
	for i := range smallFiles {
		if err := writeBig(fmt.Sprintf("%s/small/%d", dir, i), 4096); err != nil {
			return err
		}
	}
	return nil
}

// btrfsStoreBytes leaves room for two copies of the image.
func btrfsStoreBytes(b *bench.Bench) int64 { return 256<<20 + int64(largestMiB(b))<<22 }

func mountStoreOfBtrfs(ctx context.Context, b *bench.Bench) error {
	image, dir := runName(b)+"-btrfs.img", storeRoot(b, "btrfs")
	if err := errors.Join(attachSparse(b, "btrfs", image, btrfsStoreBytes(b)), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	device, err := loopOf(b, image)
	if err != nil {
		return err
	}
	if err := runTool(ctx, mkfsBtrfs, "-q", device); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, "btrfs", 0, ""); err != nil {
		return fmt.Errorf("mount(%s, %s, btrfs): %w", device, dir, err)
	}
	return nil
}

// buildStack makes image and container, and leaves the container mounted.
func buildStack(b *bench.Bench, d unionfs.Driver) error {
	if err := d.Create("image", "", unionfs.CreateOptions{}); err != nil {
		return err
	}
	image, err := d.Mount("image", unionfs.MountOptions{})
	if err != nil {
		return err
	}
	if err := errors.Join(writeImageFiles(b, image.Path), image.Release()); err != nil {
		return err
	}
	if err := d.Create("box", "image", unionfs.CreateOptions{}); err != nil {
		return err
	}
	box, err := d.Mount("box", unionfs.MountOptions{})
	if err != nil {
		return err
	}
	return os.Symlink(box.Path, boxOf(d.Name()))
}

// stackLines do the same by hand, each store laid out as its driver does.
func stackLines(b *bench.Bench) []string {
	lines := []string{"mkdir -p files/small"}
	for _, mib := range largeMiB(b) {
		lines = append(lines, fmt.Sprintf("yes | head -c %d > files/%s", mib<<20, largeName(mib)))
	}
	lines = append(lines,
		fmt.Sprintf("for I in $(seq 0 %d); do yes | head -c 4096 > files/small/$I; done", smallFiles-1),
		// overlay2: a folder of differences for each layer, merged by the kernel
		"mkdir -p $N/overlay2/l $N/overlay2/image/diff $N/overlay2/box/diff $N/overlay2/box/work $N/overlay2/box/merged",
		"cp -a files/. $N/overlay2/image/diff",
		"ln -s ../image/diff $N/overlay2/l/IMAGE && printf IMAGE > $N/overlay2/image/link",
		"ln -s ../box/diff $N/overlay2/l/BOX && printf BOX > $N/overlay2/box/link && printf l/IMAGE > $N/overlay2/box/lower",
		"mount -t overlay overlay -o lowerdir=$N/overlay2/image/diff,upperdir=$N/overlay2/box/diff,workdir=$N/overlay2/box/work $N/overlay2/box/merged",
		"ln -s $N/overlay2/box/merged box-overlay2",
		// aufs: the same idea, by branches
		"mkdir -p $N/aufs/diff/image $N/aufs/diff/box $N/aufs/layers $N/aufs/mnt/image $N/aufs/mnt/box",
		"cp -a files/. $N/aufs/diff/image",
		"printf '' > $N/aufs/layers/image && echo image > $N/aufs/layers/box",
		mountAufsLine("$N/aufs/mnt/box", "br:$LAB/$N/aufs/diff/box=rw:$LAB/$N/aufs/diff/image=ro+wh"),
		"ln -s $N/aufs/mnt/box box-aufs",
		// vfs: copies
		"mkdir -p $N/vfs/dir/image $N/vfs/dir/box",
		"cp -a files/. $N/vfs/dir/image",
		"cp -a $N/vfs/dir/image/. $N/vfs/dir/box",
		"ln -s $N/vfs/dir/box box-vfs")
	// btrfs: a subvolume, and a snapshot of it
	lines = append(lines, attachLines("btrfs", "$N-btrfs.img", btrfsStoreBytes(b))...)
	return append(lines,
		"mkfs.btrfs -q $(cat btrfs.loop)",
		"mkdir -p $N/on-btrfs",
		"mount -t btrfs $(cat btrfs.loop) $N/on-btrfs",
		"mkdir -p $N/on-btrfs/btrfs/subvolumes",
		"btrfs -q subvolume create $N/on-btrfs/btrfs/subvolumes/image",
		"cp -a files/. $N/on-btrfs/btrfs/subvolumes/image",
		"btrfs -q subvolume snapshot $N/on-btrfs/btrfs/subvolumes/image $N/on-btrfs/btrfs/subvolumes/box",
		"ln -s $N/on-btrfs/btrfs/subvolumes/box box-btrfs")
}

func readStacks(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return stackFacts(b, stacked()...)
}

// stackFacts describe the containers: what they lie on, what they see, what their
// stores take.
func stackFacts(b *bench.Bench, names ...string) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, name := range names {
		small, err := os.ReadDir(boxOf(name) + "/small")
		if err != nil {
			return facts, err
		}
		large, err := filepath.Glob(boxOf(name) + "/large-*")
		if err != nil {
			return facts, err
		}
		bytes, err := storeBytes(b, name, boxOf(name))
		if err != nil {
			return facts, err
		}
		facts = append(facts, evidence.F(name, "ls -R "+boxOf(name)+"; df", unionfs.FileSystemName(boxOf(name)),
			fmt.Sprintf("%d small, %d large", len(small), len(large)), fmt.Sprint(bytes>>10)))
	}
	return facts, nil
}

// storeBytes is what all layers of a driver take. mounted is a folder on the file
// system that was written to: what it still holds in memory is written out first.
func storeBytes(b *bench.Bench, name, mounted string) (int64, error) {
	if err := syncFS(mounted); err != nil {
		return 0, err
	}
	root := storeRoot(b, name)
	switch name {
	case "overlay2":
		return blocksIn(root + "/overlay2/*/diff")
	case "aufs":
		return blocksIn(root + "/aufs/diff")
	case "vfs":
		return blocksIn(root + "/vfs/dir")
	case "btrfs":
		var st unix.Statfs_t
		err := unix.Statfs(root, &st)
		return int64(st.Blocks-st.Bfree) * st.Bsize, err
	}
	var used uint64
	err := withPool(b, "pool", func(_ *dmthin.Control, p *dmthin.Pool) error {
		s, err := p.Status()
		used = s.Data.Used
		return err
	})
	return int64(used) * poolBlockSize, err
}

func syncFS(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(dir.Fd()))
	return errors.Join(err, dir.Close())
}

// blocksIn adds up what all folders of a pattern take.
func blocksIn(pattern string) (total int64, err error) {
	dirs, err := filepath.Glob(pattern)
	for _, dir := range dirs {
		bytes, below := blocksBelow(dir)
		total, err = total+bytes, errors.Join(err, below)
	}
	return total, err
}
