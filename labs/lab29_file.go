package labs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
	"cutaway/volumedemo"
)

// The steps of lab 29 on a single file, on a source that is missing, and on one
// that is replaced.

func bindFileStep() bench.Step {
	return bench.Step{
		Name: "file", Inside: singleBox,
		Reproduces: []string{"vol-bind-file"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := errors.Join(os.Mkdir(b.Path(boxRoot, "etc"), 0o755), os.WriteFile(b.Path(boxRoot, "etc", "motd"), []byte("the image's own\n"), 0o644)); err != nil {
				return err
			}
			return startWith(ctx, b, singleBox, "./site/page:/etc/page")
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{
					"mkdir box/etc && echo \"the image's own\" > box/etc/motd && touch box/etc/page",
					startBoxByHand(singleBox, "mount --bind site/page box/etc/page"), waitUntilRuns(singleBox, "sleep"),
				}
			},
			Tools: boxTools,
		},
		Look: []bench.View{{Title: "the folder /etc of the container", Read: readSingle}},
		Expect: []evidence.Expectation{
			evidence.Becomes("one file is the host's", "/etc/page in the container", evidence.Equals(secondEdit)),
			evidence.Becomes("the one beside it is the image's", "/etc/motd in the container", evidence.Equals("the image's own")),
			evidence.Same("it is the host's file itself, not a copy", "inode of /etc/page in the container", "inode of site/page on the host"),
			evidence.Becomes("the mount table has a line for this one file", "source of /etc/page", evidence.Contains("/site/page of")),
		},
	}
}

// readSingle follows the one file by its inode, and by the number of names that
// the inode has.
func readSingle(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("page in the host's folder", "site/page", fileText(b.Path("site", "page"))),
		evidence.F("inode of site/page on the host", "stat(2) site/page", identity(nsdemo.Stat(b.Path("site", "page")))),
	}
	pid, err := b.Pid(singleBox)
	if err != nil {
		return facts, err
	}
	page := inBox(pid, "/etc/page")
	source, _ := mountLine(pid, "/etc/page")
	return append(facts,
		evidence.F("/etc/motd in the container", inBox(pid, "/etc/motd"), fileText(inBox(pid, "/etc/motd"))),
		evidence.F("/etc/page in the container", page, fileText(page)),
		evidence.F("inode of /etc/page in the container", "stat(2) "+page, identity(nsdemo.Stat(page))),
		evidence.F("names of that inode", "stat(2) "+page+", st_nlink", linkCount(page)),
		evidence.F("source of /etc/page", fmt.Sprintf("/proc/%d/mountinfo", pid), source),
	), nil
}

func linkCount(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return evidence.Absent
	}
	return fmt.Sprint(st.Nlink)
}

func bindMissingStep() bench.Step {
	return bench.Step{
		Name: "missing", Inside: madeBox,
		Reproduces: []string{"vol-bind-file"},
		Do:         bindMissing,
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{
					"mkdir box/data box/other",
					"mkdir --parents typed-with-v",
					startBoxByHand(madeBox, "mount --bind typed-with-v box/data"), waitUntilRuns(madeBox, "sleep"),
					"! unshare --mount mount --bind typed-with-mount box/other",
				}
			},
			Tools: boxTools,
		},
		Look: []bench.View{{Title: "two sources that did not exist", Read: readMissing}},
		Expect: []evidence.Expectation{
			evidence.Becomes("-v made the missing folder on the host", "typed-with-v on the host", evidence.Equals("an empty folder")),
			evidence.Same("and the container has it", "/data in the container", "typed-with-v, device and inode"),
			evidence.AlwaysIs("--mount made nothing", "typed-with-mount on the host", evidence.Gone()),
			evidence.Becomes("with --mount, no container was started", "containers with /data and with /other", evidence.Equals("1 and 0")),
		},
	}
}

// bindMissing asks for two folders that do not exist, in the two ways.
func bindMissing(ctx context.Context, b *bench.Bench) error {
	if err := startWith(ctx, b, madeBox, "./typed-with-v:/data"); err != nil {
		return err
	}
	long, err := volumedemo.ParseMount("type=bind,source=./typed-with-mount,target=/other", b.Dir)
	if err != nil {
		return err
	}
	var invalid *volumedemo.Invalid
	if err := startBox(ctx, b, "refused", long); !errors.As(err, &invalid) {
		return fmt.Errorf("a container started on a missing --mount source (%v)", err)
	}
	return nil
}

func readMissing(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("typed-with-v on the host", "ls -A typed-with-v", folderText(b.Path("typed-with-v"))),
		evidence.F("typed-with-mount on the host", "ls -A typed-with-mount", folderText(b.Path("typed-with-mount"))),
		evidence.F("typed-with-v, device and inode", "stat(2) typed-with-v", identity(nsdemo.Stat(b.Path("typed-with-v")))),
	}
	pid, err := b.Pid(madeBox)
	if err != nil {
		return facts, err
	}
	data, other := 0, 0
	for _, name := range []string{madeBox, "refused"} {
		if pid, err := b.Pid(name); err == nil {
			data, other = data+mountedThere(pid, "/data"), other+mountedThere(pid, "/other")
		}
	}
	return append(facts,
		evidence.F("/data in the container", "stat(2) "+inBox(pid, "/data"), identity(nsdemo.Stat(inBox(pid, "/data")))),
		evidence.F("containers with /data and with /other", "/proc/PID/mountinfo", fmt.Sprintf("%d and %d", data, other)),
	), nil
}

func mountedThere(pid int, path string) int {
	if mountedAt(pid, path) == evidence.Absent {
		return 0
	}
	return 1
}

func folderText(path string) string {
	entries, err := os.ReadDir(path)
	switch {
	case err != nil:
		return evidence.Absent
	case len(entries) == 0:
		return "an empty folder"
	}
	return fmt.Sprintf("a folder with %d in it", len(entries))
}

const savedPage = "saved by an editor"

func bindReplaceStep() bench.Step {
	return bench.Step{
		Name: "replace", Inside: singleBox,
		Reproduces: []string{"vol-bind-replace"},
		Do:         saveLikeAnEditor,
		ByHand: bench.ByHand{
			Lines: bench.Lines("echo '"+savedPage+"' > site/page.new", "mv site/page.new site/page"),
			Tools: []bench.Tool{{Program: "mv", Package: "coreutils"}},
		},
		Look: []bench.View{
			{Title: "the container that has the one file", Read: readSingle},
			{Title: "the container that has the folder", Read: readPages},
		},
		Expect: []evidence.Expectation{
			otherThanBefore("on the host, the name has another inode now", "inode of site/page on the host"),
			evidence.Keeps("the container with the file still has the old inode", "inode of /etc/page in the container"),
			evidence.AlwaysIs("and the old text", "/etc/page in the container", evidence.Equals(secondEdit)),
			evidence.Becomes("no name is left for that inode: the mount alone keeps it alive", "names of that inode", evidence.Equals("0")),
			evidence.Becomes("the mount table says that its source was deleted", "source of /etc/page", evidence.Contains("//deleted")),
			evidence.Becomes("the container with the folder has the new text: in it, names are looked up anew", "page in the container", evidence.Equals(savedPage)),
		},
	}
}

// saveLikeAnEditor writes beside and renames, so that a crash never leaves half
// a file: rename(2).
func saveLikeAnEditor(_ context.Context, b *bench.Bench) error {
	if err := os.WriteFile(b.Path("site", "page.new"), []byte(savedPage+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(b.Path("site", "page.new"), b.Path("site", "page"))
}
