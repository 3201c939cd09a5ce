package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// The middle of lab 15: a container's layer over two image layers, and what
// reading, writing and deleting do to them.

// Two image layers and the container's, which is empty.
var imageLayers = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"image1/etc/motd": "from image1\n", "image1/etc/issue": "from image1\n",
		"image1/srv/old": "from image1\n", "image1/srv/cache/page": "from image1\n",
		"image2/etc/motd": "from image2\n",
		"container/":      "", "rootfs/": "",
	}
})

func imageLayerLines(b *bench.Bench) []string {
	return []string{
		"mkdir -p image1/etc image1/srv/cache image2/etc container rootfs",
		"echo from image1 | tee image1/etc/motd image1/etc/issue image1/srv/old image1/srv/cache/page",
		"echo from image2 > image2/etc/motd",
		writeBigLine(b, "image1/big"),
	}
}

// stackOptions is what Docker passes: the container's layer rw, those of the
// image ro+wh, the topmost first. "wh" makes whiteouts in them count. udba=none
// says that nobody changes the branches behind the union's back.
const stackOptions = "br:container=rw:image2=ro+wh:image1=ro+wh,udba=none"

func aufsBranchesStep() bench.Step {
	return bench.Step{
		Name: "branches", Reproduces: []string{"aufs-branches"},
		Do: func(_ context.Context, b *bench.Bench) error {
			if err := errors.Join(writeFiles(imageLayers()), writeBig("image1/big", bigBytes(b))); err != nil {
				return err
			}
			return mountAufs("rootfs", stackOptions)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(imageLayerLines(b), mountAufsLine("rootfs", stackOptions), executable()+" aufs branches rootfs")
			},
			Tools: []bench.Tool{bench.Mkdir, {Program: "yes", Package: "coreutils"}, cutaway()},
		},
		Look: []bench.View{
			{Title: "the branch list, topmost first", Read: readBranches("rootfs")},
			{Title: "what each layer holds, and what the container sees", Columns: []string{"image1", "image2", "container", "rootfs"},
				Read: readSideBySide([]string{".", "etc", "etc/motd", "etc/issue", "srv"}, "image1", "image2", "container", "rootfs")},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container's layer is on top and the only one that is rw", "br0", evidence.Equals("container=rw")),
			evidence.Becomes("the upper image layer is below it, read-only", "br1", evidence.Equals("image2=ro+wh")),
			evidence.Becomes("the lower image layer is at the bottom", "br2", evidence.Equals("image1=ro+wh")),
			evidence.ColumnsSame("of two image layers, the upper one's file is seen", "etc/motd", 1, 3),
			evidence.ColumnsSame("what only the bottom layer has is seen too", "etc/issue", 0, 3),
			holdsAt("in its own folder AUFS keeps three names of its own, which the union does not show", ".", 2, ".wh..wh.aufs .wh..wh.orph .wh..wh.plnk"),
		},
	}
}

// holdsAt claims the value of one column of a side-by-side fact. "absent" has to
// be read, too: a cell that is not there says nothing.
func holdsAt(claim, fact string, column int, want string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		read := column < len(o.After[fact].Values)
		got := o.After.Column(fact, column)
		return evidence.Judged(read && got == want, want, got)
	})
}

func aufsCopyStep() bench.Step {
	return copyStep(bench.Step{Name: "copy-up", Reproduces: []string{"aufs-cow"}}, "rootfs/big", "image1/big", "container/big")
}

func aufsAgainStep() bench.Step {
	return againStep(bench.Step{Name: "write-again", Reproduces: []string{"aufs-cow"}}, "rootfs/big", "image1/big", "container/big")
}

// copyStep is the first write to a large file of an image, by one byte.
func copyStep(s bench.Step, seen, below, copied string) bench.Step {
	s.Do = func(context.Context, *bench.Bench) error {
		return timed(firstWatch, 1, func() error { return writeByte(seen, 0) })
	}
	s.ByHand = bench.ByHand{Lines: bench.Lines(timedLine(firstWatch, 1, writeByteLine(seen, 0))),
		Tools: []bench.Tool{bench.DD, {Program: "date", Package: "coreutils"}}}
	s.Look = []bench.View{{Title: "the large file in each layer", Read: readCopies(below, copied)}, {Title: "what it took", Read: readTimes}}
	mark := fmt.Sprintf("bytes 0 and %d of ", laterOffset)
	s.Expect = []evidence.Expectation{
		evidence.Becomes("the byte is written in the container's layer", mark+copied, evidence.Equals("X y")),
		evidence.Same("one byte was written, and the whole file was copied", "bytes on disk of "+copied, "bytes on disk of "+below),
		evidence.Keeps("the image's layer has the same bytes as before", mark+below),
		evidence.Keeps("and takes the same room", "bytes on disk of "+below),
	}
	return s
}

// againStep writes to the same file again.
func againStep(s bench.Step, seen, below, copied string) bench.Step {
	s.Do = func(context.Context, *bench.Bench) error {
		return timed(laterWatch, laterWrites, func() error { return writeByte(seen, laterOffset) })
	}
	s.ByHand = bench.ByHand{Lines: bench.Lines(timedLine(laterWatch, laterWrites, writeByteLine(seen, laterOffset))),
		Tools: []bench.Tool{bench.DD, {Program: "date", Package: "coreutils"}}}
	s.Look = []bench.View{{Title: "the large file in each layer", Read: readCopies(below, copied)}, {Title: "what it took", Read: readTimes}}
	s.Plot = plotWrites
	mark := fmt.Sprintf("bytes 0 and %d of ", laterOffset)
	s.Expect = []evidence.Expectation{
		evidence.Becomes("this byte too is written in the container's layer", mark+copied, evidence.Equals("X X")),
		evidence.Keeps("nothing more was copied: the layer takes the same room", "bytes on disk of "+copied),
		evidence.Keeps("the image's layer still has the same bytes", mark+below),
		firstCostsMore(),
	}
	return s
}

func aufsWhiteoutStep() bench.Step {
	return bench.Step{
		Name: "whiteout", Reproduces: []string{"aufs-whiteout"},
		Do:     func(context.Context, *bench.Bench) error { return os.Remove("rootfs/etc/issue") },
		ByHand: bench.ByHand{Lines: bench.Lines("rm rootfs/etc/issue"), Tools: []bench.Tool{rm}},
		Look: []bench.View{
			{Title: "the deleted file in each layer", Read: readPaths("rootfs/etc/issue", "rootfs/etc", "image1/etc/issue", "container/etc/.wh.issue")},
			{Title: "the whiteout itself", Read: readWhiteout("container/etc/.wh.issue", "container/.wh..wh.aufs")},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container no longer sees the file", "rootfs/etc/issue", evidence.Gone()),
			evidence.Keeps("in the image's layer it is still there", "image1/etc/issue"),
			evidence.Becomes("the container's layer has an empty file .wh.issue in its place: the whiteout", "container/etc/.wh.issue", evidence.Equals("empty file")),
			evidence.Becomes("its mode is 0444", "mode", evidence.Equals("0444")),
			evidence.Becomes("it is a hard link of .wh..wh.aufs: a whiteout takes no inode of its own", "same inode as .wh..wh.aufs", evidence.Equals("yes")),
			evidence.Becomes("the container does not see the whiteout either", "rootfs/etc", evidence.Equals("motd")),
		},
	}
}

var rm = bench.Tool{Program: "rm", Package: "coreutils"}

// readWhiteout looks at a whiteout's inode.
func readWhiteout(path, base string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var wh, of unix.Stat_t
		if err := errors.Join(unix.Lstat(path, &wh), unix.Lstat(base, &of)); err != nil {
			return nil, err
		}
		same := map[bool]string{true: "yes", false: "no"}[wh.Ino == of.Ino && wh.Dev == of.Dev]
		return []evidence.Fact{
			evidence.F("mode", "stat -c %a "+path, fmt.Sprintf("%04o", wh.Mode&0o7777)),
			evidence.F("links", "stat -c %h "+path, fmt.Sprint(wh.Nlink)),
			evidence.F("same inode as .wh..wh.aufs", "stat -c %i "+path+" "+base, same),
		}, nil
	}
}

func aufsFolderStep() bench.Step {
	return bench.Step{
		Name: "delete-folder", Reproduces: []string{"aufs-whiteout"},
		Do:     func(context.Context, *bench.Bench) error { return os.RemoveAll("rootfs/srv") },
		ByHand: bench.ByHand{Lines: bench.Lines("rm -r rootfs/srv"), Tools: []bench.Tool{rm}},
		Look:   []bench.View{{Title: "the deleted folder in each layer", Read: readPaths("rootfs/srv", "container/.wh.srv", "container/srv", "image1/srv", "image1/srv/cache")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container no longer sees the folder", "rootfs/srv", evidence.Gone()),
			evidence.Becomes("one whiteout hides the whole tree", "container/.wh.srv", evidence.Equals("empty file")),
			evidence.AlwaysIs("no copy of the folder stays in the container's layer", "container/srv", evidence.Gone()),
			evidence.Keeps("in the image's layer the folder is complete", "image1/srv"),
			evidence.Keeps("and so is the one in it", "image1/srv/cache"),
		},
	}
}

func aufsOpaqueStep() bench.Step {
	return bench.Step{
		Name: "opaque", Reproduces: []string{"aufs-opaque"},
		Do: func(context.Context, *bench.Bench) error {
			return errors.Join(os.Mkdir("rootfs/srv", 0o755), os.WriteFile("rootfs/srv/new", []byte("from the container\n"), 0o644))
		},
		ByHand: bench.ByHand{Lines: bench.Lines("mkdir rootfs/srv", "echo from the container > rootfs/srv/new"), Tools: []bench.Tool{bench.Mkdir}},
		Look:   []bench.View{{Title: "the folder that was made again", Read: readPaths("rootfs/srv", "container/.wh.srv", "container/srv", "container/srv/.wh..wh..opq", "image1/srv")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container sees a folder with the new file alone", "rootfs/srv", evidence.Equals("new")),
			evidence.Becomes("the whiteout went away, as the name is in use again", "container/.wh.srv", evidence.Gone()),
			evidence.Becomes("in its place the new folder is marked opaque: nothing below it counts", "container/srv/.wh..wh..opq", evidence.Equals("empty file")),
			evidence.Keeps("the old content is still in the image's layer", "image1/srv"),
		},
	}
}

// aufsFreshStep asks whether the marks alone are the memory of what was deleted.
func aufsFreshStep() bench.Step {
	return bench.Step{
		Name: "fresh-mount", Reproduces: []string{"aufs-opaque", "aufs-whiteout"},
		Do: func(context.Context, *bench.Bench) error {
			if err := errors.Join(unmountAufs("rootfs"), os.Mkdir("elsewhere", 0o755)); err != nil {
				return err
			}
			return mountAufs("elsewhere", stackOptions)
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{executable() + " aufs umount rootfs", "mkdir elsewhere", mountAufsLine("elsewhere", stackOptions)}
			},
			Tools: []bench.Tool{bench.Mkdir, cutaway()},
		},
		Look: []bench.View{{Title: "the same layers, mounted afresh elsewhere", Read: readPaths("rootfs", "elsewhere", "elsewhere/etc", "elsewhere/srv")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the first mount is gone", "rootfs", evidence.Equals("(empty)")),
			evidence.Becomes("the deleted file does not come back", "elsewhere/etc", evidence.Equals("motd")),
			evidence.Becomes("the old content of the folder does not come back", "elsewhere/srv", evidence.Equals("new")),
		},
	}
}
