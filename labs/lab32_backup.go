package labs

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

// backupLab is lab 32: volumes outlive containers, so somebody has to care for them.
func backupLab() bench.Lab {
	return bench.Lab{ID: "32", Name: "backup", Needs: engineNeeds, Steps: []bench.Step{
		backupStep(),
		damageStep(),
		restoreStep(),
		oldVersionStep(),
		migrateStep(),
		orphanStep(),
		pruneStep(),
	}}
}

const (
	ledgerText   = "the ledger of 2026"
	ledgerScript = "mkdir /db/books && echo " + ledgerText + " > /db/books/ledger && echo 42 > /db/count && chown -R 1000:1000 /db && touch /made"
)

func backupStep() bench.Step {
	lines := append(runLines("db", "-v books:/db box "+scriptLine(ledgerScript)), "until [ -e /proc/$(cat db.pid)/root/made ]; do sleep 0.01; done",
		"cutaway run --rm -v books:/data:ro -v .:/backup box tar -cf /backup/books.tar -C /data .",
		"find root/volumes/books/_data -type f | sort | xargs cat | sha256sum | cut -d ' ' -f 1 > sum")
	return bench.Step{
		Name: "backup", Inside: "db", Reproduces: []string{"vol-backup"},
		Intend: intendEngine,
		Do:     backUp,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool, {Program: "sha256sum", Package: "coreutils"}, {Program: "xargs", Package: "findutils"}}},
		Look:   []bench.View{{Title: "the volume and its backup", Read: readBackup}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the archive holds all files of the volume", "files in books.tar", evidence.Equals("books/ledger count")),
			evidence.Same("the checksum of what is in the volume was noted", "checksum of the volume", "checksum at the backup"),
			evidence.Becomes("the container ran on meanwhile", "the container db", evidence.Equals("runs")),
		},
	}
}

// backUp fills a volume from a container, and writes its content into an archive.
func backUp(ctx context.Context, b *bench.Bench) error {
	if err := (contained{name: "db", image: "box", volumes: []string{"books:/db"}, command: script(ledgerScript)}).run(b); err != nil {
		return err
	}
	pid, err := b.Pid("db")
	if err != nil {
		return err
	}
	if err := waitForFile(ctx, inBox(pid, "/made")); err != nil {
		return err
	}
	archive, err := os.Create(b.Path("books.tar"))
	if err != nil {
		return err
	}
	err = withEngine(b, func(e *minicontainer.Engine) error { return e.Volumes().Backup("books", archive) })
	return errors.Join(err, archive.Close(), os.WriteFile(b.Path("sum"), []byte(checksum(volumeData(b, "books"))+"\n"), 0o644))
}

// checksum is over the contents of all files of a tree, in the order of their names.
func checksum(dir string) string {
	hash := sha256.New()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		hash.Write(text)
		return err
	})
	if err != nil || files == 0 {
		return evidence.Absent
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

func readBackup(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return []evidence.Fact{
		evidence.F("files in books.tar", "tar -tf books.tar", packedFiles(b.Path("books.tar"))),
		evidence.F("checksum at the backup", "cat sum", fileText(b.Path("sum"))),
		evidence.F("checksum of the volume", "cat FILES | sha256sum, root/volumes/books/_data", checksum(volumeData(b, "books"))),
		evidence.F("ledger in the volume", "root/volumes/books/_data/books/ledger", fileText(volumeData(b, "books")+"/books/ledger")),
		evidence.F("owner and mode of the ledger", "stat(2)", ownerAndMode(volumeData(b, "books")+"/books/ledger")),
		evidence.F("the container db", "/proc/PID", running(b, "db")),
	}, nil
}

// packedFiles lists the plain files of an archive.
func packedFiles(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return evidence.Absent
	}
	defer f.Close()
	var names []string
	r := tar.NewReader(f)
	for {
		hdr, err := r.Next()
		if err == io.EOF {
			slices.Sort(names)
			return strings.Join(names, " ")
		}
		if err != nil {
			return "broken: " + err.Error()
		}
		if hdr.Typeflag == tar.TypeReg {
			names = append(names, strings.TrimPrefix(hdr.Name, "./"))
		}
	}
}

func damageStep() bench.Step {
	return bench.Step{
		Name: "damage", Inside: "db", Reproduces: []string{"vol-backup"},
		Do: func(_ context.Context, b *bench.Bench) error {
			data := volumeData(b, "books")
			return errors.Join(os.WriteFile(data+"/books/ledger", []byte("scribbled over\n"), 0o600), os.Remove(data+"/count"))
		},
		ByHand: bench.ByHand{
			Lines: typed("cutaway exec db sh -c 'echo scribbled over > /db/books/ledger; rm /db/count'"),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "the volume and its backup", Read: readBackup}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the ledger is damaged", "ledger in the volume", evidence.Equals("scribbled over")),
			differsNow("the checksum is another one than at the backup", "checksum of the volume", "checksum at the backup"),
			evidence.AlwaysIs("the archive knows nothing of it", "files in books.tar", evidence.Equals("books/ledger count")),
		},
	}
}

// differsNow claims that two facts were equal and are no longer.
func differsNow(claim, fact, other string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact, other}, func(o evidence.Observed) evidence.Verdict {
		before, now, want := o.Before.Value(fact), o.After.Value(fact), o.After.Value(other)
		return evidence.Judged(before == want && now != want && now != evidence.Absent, fact+" other than "+want, now)
	})
}

// sameAgain claims that two facts differed and are equal now.
func sameAgain(claim, fact, other string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact, other}, func(o evidence.Observed) evidence.Verdict {
		before, now, want := o.Before.Value(fact), o.After.Value(fact), o.After.Value(other)
		return evidence.Judged(before != want && now == want && now != evidence.Absent, fact+" is "+want, now)
	})
}

func restoreStep() bench.Step {
	return bench.Step{
		Name: "restore", Inside: "db", Reproduces: []string{"vol-backup"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			archive, err := os.Open(b.Path("books.tar"))
			if err != nil {
				return err
			}
			defer archive.Close()
			return withEngine(b, func(e *minicontainer.Engine) error { return e.Volumes().Restore("books", archive) })
		},
		ByHand: bench.ByHand{
			Lines: typed("cutaway run --rm -v books:/data -v .:/backup:ro box sh -c 'rm -rf /data/* && tar -xf /backup/books.tar -C /data'"),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{
			{Title: "the volume and its backup", Read: readBackup},
			{Title: "the ledger, in the container that ran on", Read: readRunning},
		},
		Expect: []evidence.Expectation{
			sameAgain("the checksum is the one of the backup again", "checksum of the volume", "checksum at the backup"),
			evidence.AlwaysIs("the owner was restored with the content", "owner and mode of the ledger", evidence.Equals("1000:1000 0644")),
			evidence.Becomes("the container that ran on sees the restored ledger", "ledger in the container", evidence.Equals(ledgerText)),
		},
	}
}

func readRunning(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("db")
	if err != nil {
		return nil, err
	}
	path := inBox(pid, "/db/books/ledger")
	return []evidence.Fact{evidence.F("ledger in the container", path, fileText(path))}, nil
}

func versionScript(n int) string { return fmt.Sprintf("echo version %d > /version; touch /made", n) }

func oldVersionStep() bench.Step {
	var lines []string
	for n := 1; n <= 2; n++ {
		lines = append(append(lines, runLines(fmt.Sprintf("make%d", n), "box "+scriptLine(versionScript(n)))...),
			fmt.Sprintf("until [ -e /proc/$(cat make%d.pid)/root/made ]; do sleep 0.01; done", n),
			fmt.Sprintf("cutaway commit make%d app:%d && cutaway rm -f make%d", n, n, n))
	}
	lines = append(lines, runLines("old", "-v books:/db app:1 sleep 1000")...)
	return bench.Step{
		Name: "old-version", Inside: "old", Reproduces: []string{"vol-migrate"},
		Intend: intendEngine,
		Do:     runOldVersion,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "the old version of the program", Read: readVersion("old")}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the first version runs", "version of the program", evidence.Equals("version 1")),
			evidence.Becomes("on the volume with the ledger", "ledger in its container", evidence.Equals(ledgerText)),
		},
	}
}

// runOldVersion makes two versions of a program, each an image, and runs the first.
func runOldVersion(ctx context.Context, b *bench.Bench) error {
	for n := 1; n <= 2; n++ {
		name := fmt.Sprintf("make%d", n)
		if err := (contained{name: name, image: "box", command: script(versionScript(n))}).run(b); err != nil {
			return err
		}
		pid, err := b.Pid(name)
		if err != nil {
			return err
		}
		if err := waitForFile(ctx, inBox(pid, "/made")); err != nil {
			return err
		}
		if err := errors.Join(commitAs(b, name, fmt.Sprintf("app:%d", n)), removeContainer(b, name, false)); err != nil {
			return err
		}
	}
	return contained{name: "old", image: "app:1", volumes: []string{"books:/db"}, command: onlyWaits}.run(b)
}

func migrateStep() bench.Step {
	return bench.Step{
		Name: "migrate", Inside: "new", Reproduces: []string{"vol-migrate"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			if err := removeContainer(b, "old", false); err != nil {
				return err
			}
			return contained{name: "new", image: "app:2", volumes: []string{"books:/db"}, command: onlyWaits}.run(b)
		},
		ByHand: bench.ByHand{
			Lines: typed(append([]string{"cutaway rm -f old"}, runLines("new", "-v books:/db app:2 sleep 1000")...)...),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{
			{Title: "the new version of the program", Read: readVersion("new")},
			{Title: "the volume meanwhile", Read: readMeanwhile},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the program is the new version", "version of the program", evidence.Equals("version 2")),
			evidence.Becomes("the container of the old version is gone", "the container old", evidence.Gone()),
			evidence.Becomes("the new version has the old data", "ledger in its container", evidence.Equals(ledgerText)),
			evidence.Becomes("it is the same volume", "volume at /db", evidence.Equals("books")),
			evidence.Keeps("nothing in the volume was changed by it", "checksum of the volume"),
		},
	}
}

// readVersion looks at the program and its data in one container.
func readVersion(name string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		pid, err := b.Pid(name)
		if err != nil {
			return nil, err
		}
		return []evidence.Fact{
			evidence.F("version of the program", inBox(pid, "/version"), fileText(inBox(pid, "/version"))),
			evidence.F("volume at /db", fmt.Sprintf("/proc/%d/mountinfo", pid), mountedVolume(pid, "/db")),
			evidence.F("ledger in its container", inBox(pid, "/db/books/ledger"), fileText(inBox(pid, "/db/books/ledger"))),
		}, nil
	}
}

func readMeanwhile(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	old := evidence.Absent
	if containerID(b, "old") != evidence.Absent {
		old = "there"
	}
	return []evidence.Fact{
		evidence.F("the container old", "ls root/names", old),
		evidence.F("checksum of the volume", "cat FILES | sha256sum, root/volumes/books/_data", checksum(volumeData(b, "books"))),
	}, nil
}
