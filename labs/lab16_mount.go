package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs/driver/overlay2"
)

// The middle of lab 16: one overlay mount, and what reading, writing and
// deleting do to its folders.

// overlayFiles are two image layers and the layer of a container that has
// written before: a file of its own, and one in place of the image's.
var overlayFiles = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"image1/etc/motd": "from image1\n", "image1/etc/issue": "from image1\n",
		"image1/srv/old": "from image1\n", "image1/srv/cache/page": "from image1\n",
		"image2/etc/motd": "from image2\n", "image2/etc/profile": "from image2\n",
		"upper/etc/hostname": "from upper\n", "upper/etc/profile": "from upper\n",
		"work/": "", "merged/": "",
	}
})

// overlaySpec names the four folders of the mount. In a user namespace the
// kernel may not write trusted.* attributes, so overlayfs is told to keep its
// marks in user.* ones.
func overlaySpec(b *bench.Bench) overlay2.Spec {
	s := overlay2.Spec{Home: b.Dir, Lowers: []string{"image2", "image1"}, Upper: "upper", Work: "work"}
	if b.Where == "userns" {
		s.Extra = []string{"userxattr"}
	}
	return s
}

// markOf is the attribute of that name that overlayfs uses here.
func markOf(b *bench.Bench, name string) string {
	if b.Where == "userns" {
		return "user.overlay." + name
	}
	return "trusted.overlay." + name
}

func overlayMountStep() bench.Step {
	return bench.Step{
		Name: "mount", Reproduces: []string{"ov-mount"},
		Do: func(_ context.Context, b *bench.Bench) error {
			if err := errors.Join(writeFiles(overlayFiles()), writeBig("image1/big", bigBytes(b))); err != nil {
				return err
			}
			return overlaySpec(b).MountRelative(b.Path("merged"))
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{
					"mkdir -p image1/etc image1/srv/cache image2/etc upper/etc work merged",
					"echo from image1 | tee image1/etc/motd image1/etc/issue image1/srv/old image1/srv/cache/page",
					"echo from image2 | tee image2/etc/motd image2/etc/profile",
					"echo from upper | tee upper/etc/hostname upper/etc/profile",
					writeBigLine(b, "image1/big"),
					"mount -t overlay overlay -o " + overlaySpec(b).Options(false) + " merged",
				}
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Mount, {Program: "yes", Package: "coreutils"}},
		},
		Look: []bench.View{
			{Title: "the mount, as the kernel has it", Read: readOverlayMount("merged")},
			{Title: "which folder serves each file of merged", Read: readServers("etc/hostname", "etc/profile", "etc/motd", "etc/issue", "srv/old")},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("an overlay is mounted on merged", "type", evidence.Equals("overlay")),
			evidence.Becomes("lowerdir names the read-only folders, the topmost first", "lowerdir", evidence.Equals("image2:image1")),
			evidence.Becomes("upperdir is the one that takes all changes", "upperdir", evidence.Equals("upper")),
			evidence.Becomes("workdir is where the kernel prepares them", "workdir", evidence.Equals("work")),
			evidence.Becomes("a file of upper is served from there, also where a lower folder has the path", "merged/etc/profile", evidence.Equals("upper")),
			evidence.Becomes("of two lower folders that have the path, the first one serves it", "merged/etc/motd", evidence.Equals("image2")),
			evidence.Becomes("a file of the bottom is served from the bottom: nothing was copied", "merged/etc/issue", evidence.Equals("image1")),
		},
	}
}

// readOverlayMount reads the mount's line in mountinfo, proc_pid_mountinfo(5).
func readOverlayMount(target string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(b.Path(target)))
		if err != nil || len(mounts) == 0 {
			return nil, err
		}
		from := "grep /" + target + " /proc/self/mountinfo"
		facts := []evidence.Fact{evidence.F("type", from, mounts[0].FSType)}
		for _, name := range []string{"lowerdir", "upperdir", "workdir"} {
			facts = append(facts, evidence.F(name, from, mountOption(mounts[0].VFSOptions, name)))
		}
		return facts, nil
	}
}

func mountOption(options, name string) string {
	for option := range strings.SplitSeq(options, ",") {
		if value, ok := strings.CutPrefix(option, name+"="); ok {
			return value
		}
	}
	return evidence.Absent
}

// readServers finds the folder that a file of merged comes from by its inode
// number: a file that was not copied up has the one that it has in its folder.
func readServers(paths ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, path := range paths {
			facts = append(facts, evidence.F("merged/"+path, "stat -c '%i %n' */"+path, serverOf(path)))
		}
		return facts, nil
	}
}

func serverOf(path string) string {
	seen := inode("merged/" + path)
	if seen == 0 {
		return evidence.Absent
	}
	for _, dir := range []string{"upper", "image2", "image1"} {
		if inode(filepath.Join(dir, path)) == seen {
			return dir
		}
	}
	return "none"
}

func inode(path string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

func overlayReadStep() bench.Step {
	return bench.Step{
		Name: "read", Reproduces: []string{"ov-read"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("cat merged/etc/hostname merged/etc/issue merged/etc/profile", "stat -c '%i %n' */etc/*"),
			Tools: []bench.Tool{bench.Cat, {Program: "stat", Package: "coreutils"}},
		},
		Look: []bench.View{
			{Title: "what read(2) gives, folder by folder", Columns: []string{"image1", "image2", "upper", "merged"},
				Read: readSideBySide([]string{"etc/hostname", "etc/issue", "etc/profile"}, "image1", "image2", "upper", "merged")},
			{Title: "whose inode it is", Read: readServers("etc/hostname", "etc/issue", "etc/profile")},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("in the container's layer only: its bytes", "etc/hostname", 2, 3),
			evidence.ColumnsSame("in an image layer only: the image's bytes", "etc/issue", 0, 3),
			evidence.ColumnsSame("in both: the container's bytes", "etc/profile", 2, 3),
			evidence.ColumnsDiffer("the image's are hidden", "etc/profile", 1, 3),
		},
	}
}

func overlayWriteStep() bench.Step {
	return bench.Step{
		Name: "write", Reproduces: []string{"ov-write-cases"},
		Do: func(context.Context, *bench.Bench) error {
			for _, name := range []string{"hostname", "motd", "new"} {
				if err := appendLine("merged/etc/"+name, "changed"); err != nil {
					return err
				}
			}
			return nil
		},
		ByHand: bench.ByHand{Lines: bench.Lines("for f in hostname motd new; do echo changed >> merged/etc/$f; done")},
		Look: []bench.View{
			{Title: "the files in each folder", Read: readPaths("upper/etc", "upper/etc/hostname", "upper/etc/motd", "upper/etc/new", "image2/etc/motd", "image1/etc/motd")},
			{Title: "inode numbers", Read: readInodes("upper/etc/hostname", "image2/etc/motd", "upper/etc/motd", "merged/etc/motd")},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("in the container's layer only: changed where it is", "upper/etc/hostname", evidence.Equals("from upper; changed")),
			evidence.Keeps("it is still the same inode", "inode of upper/etc/hostname"),
			evidence.Becomes("in the image only: the whole file is in upper now, changed", "upper/etc/motd", evidence.Equals("from image2; changed")),
			evidence.Keeps("the image's file is what it was", "image2/etc/motd"),
			evidence.Becomes("in neither: made in upper", "upper/etc/new", evidence.Equals("changed")),
		},
	}
}

func readInodes(paths ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, path := range paths {
			value := evidence.Absent
			if n := inode(path); n != 0 {
				value = fmt.Sprint(n)
			}
			facts = append(facts, evidence.F("inode of "+path, "stat -c %i "+path, value))
		}
		return facts, nil
	}
}

func overlayCopyStep() bench.Step {
	return copyStep(bench.Step{Name: "copy-up", Reproduces: []string{"ov-cow"}}, "merged/big", "image1/big", "upper/big")
}

func overlayAgainStep() bench.Step {
	return againStep(bench.Step{Name: "write-again", Reproduces: []string{"ov-cow"}}, "merged/big", "image1/big", "upper/big")
}

func overlayWhiteoutStep() bench.Step {
	return bench.Step{
		Name: "whiteout", Reproduces: []string{"ov-whiteout"},
		Do:     func(context.Context, *bench.Bench) error { return os.Remove("merged/etc/issue") },
		ByHand: bench.ByHand{Lines: bench.Lines("rm merged/etc/issue", "ls -l upper/etc"), Tools: []bench.Tool{rm, {Program: "ls", Package: "coreutils"}}},
		Look:   []bench.View{{Title: "the deleted file in each folder", Read: readPaths("merged/etc/issue", "merged/etc", "upper/etc/issue", "image1/etc/issue")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container no longer sees the file", "merged/etc/issue", evidence.Gone()),
			evidence.Becomes("upper has a character device 0:0 of its name: the whiteout", "upper/etc/issue", evidence.Equals("character device 0:0")),
			evidence.Becomes("merged does not list the whiteout", "merged/etc", evidence.Equals("hostname motd new profile")),
			evidence.Keeps("in the image's layer it is still there", "image1/etc/issue"),
		},
	}
}

func overlayFolderStep() bench.Step {
	return bench.Step{
		Name: "delete-folder", Reproduces: []string{"ov-whiteout"},
		Do:     func(context.Context, *bench.Bench) error { return os.RemoveAll("merged/srv") },
		ByHand: bench.ByHand{Lines: bench.Lines("rm -r merged/srv"), Tools: []bench.Tool{rm}},
		Look:   []bench.View{{Title: "the deleted folder in each folder", Read: readPaths("merged/srv", "upper/srv", "image1/srv", "image1/srv/cache")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container no longer sees the folder", "merged/srv", evidence.Gone()),
			evidence.Becomes("one whiteout hides the whole tree", "upper/srv", evidence.Equals("character device 0:0")),
			evidence.Keeps("in the image's layer the folder is complete", "image1/srv"),
			evidence.Keeps("and so is the one in it", "image1/srv/cache"),
		},
	}
}

func overlayOpaqueStep() bench.Step {
	return bench.Step{
		Name: "opaque", Reproduces: []string{"ov-whiteout"},
		Do: func(context.Context, *bench.Bench) error { return os.Mkdir("merged/srv", 0o755) },
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{"mkdir merged/srv", "getfattr -n " + markOf(b, "opaque") + " upper/srv"}
			},
			Tools: []bench.Tool{bench.Mkdir, {Program: "getfattr", Package: "attr"}},
		},
		Look: []bench.View{
			{Title: "the folder that was made again", Read: readPaths("merged/srv", "upper/srv", "image1/srv")},
			{Title: "its attribute", Read: readOpaque},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container sees an empty folder", "merged/srv", evidence.Equals("(empty)")),
			evidence.Becomes("in upper a folder took the whiteout's place", "upper/srv", evidence.Equals("(empty)")),
			evidence.Becomes("an attribute marks it opaque: nothing below it counts", "opaque", evidence.Equals("y")),
			evidence.Keeps("the old content is still in the image's layer", "image1/srv"),
		},
	}
}

func readOpaque(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var value [16]byte
	n, err := unix.Lgetxattr("upper/srv", markOf(b, "opaque"), value[:])
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) {
		return nil, nil // not set, or upper/srv is the whiteout still, which cannot have user.* attributes
	}
	if err != nil {
		return nil, fmt.Errorf("getxattr upper/srv %s: %w", markOf(b, "opaque"), err)
	}
	return []evidence.Fact{evidence.F("opaque", "getfattr -n "+markOf(b, "opaque")+" upper/srv", string(value[:n]))}, nil
}
