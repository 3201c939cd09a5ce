package labs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver/overlay2"
	"cutaway/unionfs/driver/vfs"
	"cutaway/unionfs/image"
	"cutaway/unionfs/layertar"
)

// driversLab is lab 18: the same layers, kept in other ways than by overlayfs.
func driversLab() bench.Lab {
	return bench.Lab{ID: "18", Name: "drivers", Steps: []bench.Step{
		vfsStep(),
		btrfsDiskStep(),
		btrfsBaseStep(),
		btrfsSnapshotStep(),
		btrfsWriteStep(),
		zfsPoolStep(),
		zfsCloneStep(),
		zfsWriteStep(),
	}}
}

// A driverLayer adds one file to what is below it.
type driverLayer struct {
	name, below, file string
	bytes             int
}

// A large base, with little on top: what images usually are.
var (
	layerBase = driverLayer{name: "base", file: "big", bytes: 8 << 20}
	layerApp  = driverLayer{name: "app", below: "base", file: "program", bytes: 64 << 10}
	layerWeb  = driverLayer{name: "web", below: "app", file: "page", bytes: 4 << 10}
)

// add makes the layers with a driver, as an image's are made: an empty layer on
// top of the one below, and the layer's tar unpacked into it.
func add(d unionfs.Driver, layers ...driverLayer) error {
	for _, l := range layers {
		var tar bytes.Buffer
		if err := image.WriteFiles(&tar, []image.File{{Name: l.file, Mode: 0o644, Data: randomBytes(l.bytes)}}, time.Now()); err != nil {
			return err
		}
		if err := d.Create(l.name, l.below, unionfs.CreateOptions{}); err != nil {
			return err
		}
		if _, err := d.Apply(l.name, &tar, layertar.Limits{}); err != nil {
			return fmt.Errorf("unpack layer %s: %w", l.name, err)
		}
	}
	return nil
}

// randomBytes are no zeros, for file systems save those.
func randomBytes(n int) []byte {
	content := make([]byte, n)
	rand.Read(content)
	return content
}

func vfsStep() bench.Step {
	return bench.Step{
		Name: "vfs", Reproduces: []string{"drv-vfs"}, Needs: needs("overlay.works"),
		Do: stackCopiesAndOverlay,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"mkdir -p vfs/dir/base overlay2/base/diff overlay2/app/diff",
				"mkdir -p overlay2/web/diff overlay2/web/work overlay2/web/merged",
				"head -c 8M /dev/urandom > vfs/dir/base/big",
				"cp -a vfs/dir/base vfs/dir/app && head -c 64K /dev/urandom > vfs/dir/app/program",
				"cp -a vfs/dir/app vfs/dir/web && head -c 4K /dev/urandom > vfs/dir/web/page",
				"head -c 8M /dev/urandom > overlay2/base/diff/big",
				"head -c 64K /dev/urandom > overlay2/app/diff/program",
				"mount -t overlay overlay -o lowerdir=overlay2/app/diff:overlay2/base/diff,upperdir=overlay2/web/diff,workdir=overlay2/web/work overlay2/web/merged",
				"head -c 4K /dev/urandom > overlay2/web/merged/page",
				"du -k vfs/dir overlay2/*/diff",
			),
			Tools: []bench.Tool{bench.Mkdir, {Program: "head", Package: "coreutils"}, {Program: "cp", Package: "coreutils"}, bench.Mount, {Program: "du", Package: "coreutils"}},
		},
		Look: []bench.View{
			{Title: "disk use of each layer", Columns: []string{"vfs", "overlay2"}, Read: readDiskUse},
			{Title: "what the topmost layer shows", Columns: []string{"vfs", "overlay2"}, Read: readTopmost},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("both drivers show the same files on top", "files in web", 0, 1),
			diskClaim("with vfs, a layer holds all that is below it once more", "web, KiB", func(vfs, _ float64) bool { return vfs >= 8192 }),
			diskClaim("with overlay2, a layer holds only what it added", "web, KiB", func(_, overlay float64) bool { return overlay >= 4 && overlay < 1024 }),
			diskClaim("three layers take more than twice the disk with vfs", "together, KiB", func(vfs, overlay float64) bool { return vfs > 2*overlay }),
			bigClaim("vfs copied the big file: in web it is another file than in base", 0, false),
			bigClaim("overlay2 did not: web shows the very file of base", 1, true),
		},
	}
}

// stackCopiesAndOverlay makes the three layers with both drivers, and mounts the
// topmost one of overlay2. With vfs there is nothing to mount.
func stackCopiesAndOverlay(_ context.Context, b *bench.Bench) error {
	copies, err := vfs.Open(b.Path("vfs"))
	if err != nil {
		return err
	}
	merged, err := overlay2.Open(b.Path("overlay2"), overlay2.Options{Parameters: "/sys/module/overlay/parameters"})
	if err != nil {
		return err
	}
	for _, d := range []unionfs.Driver{copies, merged} {
		if err := add(d, layerBase, layerApp, layerWeb); err != nil {
			return fmt.Errorf("driver %s: %w", d.Name(), err)
		}
	}
	_, err = merged.Mount("web", unionfs.MountOptions{})
	return err
}

// readDiskUse adds up the blocks of every file of a layer (stat(2)).
func readDiskUse(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	var sums [2]int64
	var errs []error
	for _, layer := range []string{"base", "app", "web"} {
		values := []string{evidence.Absent, evidence.Absent}
		for i, dir := range []string{"vfs/dir/" + layer, "overlay2/" + layer + "/diff"} {
			size, err := blocksBelow(dir)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			sums[i] += size
			values[i] = fmt.Sprint(size >> 10)
		}
		facts = append(facts, evidence.F(layer+", KiB", "du -sk vfs/dir/"+layer+" overlay2/"+layer+"/diff", values...))
	}
	sum := evidence.F("together, KiB", "the sum", fmt.Sprint(sums[0]>>10), fmt.Sprint(sums[1]>>10))
	return append(facts, sum), errors.Join(errs...)
}

// blocksBelow is what du(1) counts: the blocks that the disk gave, not the sizes.
func blocksBelow(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		err = unix.Lstat(path, &st)
		bytes += st.Blocks * 512
		return err
	})
	return bytes, err
}

// readTopmost compares the trees that a container would see.
func readTopmost(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	trees := []string{"vfs/dir/web", "overlay2/web/merged"}
	var files []string
	for _, tree := range trees {
		files = append(files, filesOnTop(tree))
	}
	return []evidence.Fact{
		evidence.F("files in web", "ls "+strings.Join(trees, " "), files...),
		evidence.F("big in base, inode", "ls -i vfs/dir/base/big overlay2/base/diff/big", inodeOf("vfs/dir/base/big"), inodeOf("overlay2/base/diff/big")),
		evidence.F("big in web, inode", "ls -i vfs/dir/web/big overlay2/web/merged/big", inodeOf("vfs/dir/web/big"), inodeOf("overlay2/web/merged/big")),
	}, nil
}

func filesOnTop(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return evidence.Absent
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func inodeOf(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return evidence.Absent
	}
	return fmt.Sprint(st.Ino)
}

// diskClaim compares the two drivers' disk use.
func diskClaim(claim, fact string, ok func(vfs, overlay float64) bool) evidence.Expectation {
	return evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		copies, there := evidence.Number(o.After.Column(fact, 0))
		merged, too := evidence.Number(o.After.Column(fact, 1))
		got := fmt.Sprintf("%s and %s", o.After.Column(fact, 0), o.After.Column(fact, 1))
		return evidence.Judged(there && too && ok(copies, merged), fact+" of vfs and overlay2 to be so", got)
	})
}

// bigClaim tells whether the file is one or two: an inode number is a file's
// identity.
func bigClaim(claim string, column int, same bool) evidence.Expectation {
	word := map[bool]string{true: "one inode", false: "two inodes"}[same]
	return evidence.Custom(claim, []string{"big in base, inode", "big in web, inode"}, func(o evidence.Observed) evidence.Verdict {
		base, web := o.After.Column("big in base, inode", column), o.After.Column("big in web, inode", column)
		return evidence.Judged(base != evidence.Absent && web != evidence.Absent && (base == web) == same, word, base+" and "+web)
	})
}
