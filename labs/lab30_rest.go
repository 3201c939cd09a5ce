package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/volumedemo"
)

// The second half of lab 30: the long way of asking, what volumes are not part
// of, what they cost, and their end.

// longMounts and shortMounts ask for the same three mounts.
var (
	longMounts = []string{
		"type=bind,source=./site,target=/site,readonly",
		"type=volume,source=data,target=/data",
		"type=tmpfs,target=/memory,tmpfs-size=64k",
	}
	shortMounts = []string{"./site:/site:ro", "data:/data"}
)

// badMounts are mistakes, with the file that gets the answer.
var badMounts = []struct{ file, mount, word string }{
	{"bad-key", "type=bind,sorce=./site,target=/site", "unexpected key 'sorce'"},
	{"bad-mix", "type=bind,source=./site,target=/site,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'bind'"},
	{"bad-path", "type=bind,source=site,target=/site", "mount path must be absolute"},
}

func volumeSyntaxStep() bench.Step {
	lines := []string{"mkdir site"}
	lines = append(lines, runLines("long", "--mount "+strings.Join(longMounts, " --mount ")+" box sleep 1000")...)
	lines = append(lines, runLines("short", "-v ./site:/site:ro -v data:/data --tmpfs /memory:size=64k box sleep 1000")...)
	for _, bad := range badMounts {
		lines = append(lines, "! cutaway run --mount "+bad.mount+" box true 2> "+bad.file, "cat "+bad.file)
	}
	return bench.Step{
		Name: "syntax", Inside: "long", Reproduces: []string{"vol-mount-syntax"},
		Intend: intendEngine,
		Do:     askBothWays,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool, bench.Mkdir, bench.Cat}},
		Look: []bench.View{
			{Title: "the mounts that came of it", Columns: []string{"--mount", "-v, --tmpfs"}, Read: readBothWays},
			{Title: "answers to mistakes", Read: readBadMounts},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("bind: the same mount either way", "/site", 0, 1),
			evidence.ColumnsSame("volume: the same mount either way", "/data", 0, 1),
			evidence.ColumnsSame("tmpfs: the same size either way", "size of /memory", 0, 1),
			evidence.Becomes("a key that does not exist is named", badMounts[0].mount, evidence.Contains(badMounts[0].word)),
			evidence.Becomes("an option of another type is refused, not ignored", badMounts[1].mount, evidence.Contains(badMounts[1].word)),
			evidence.Becomes("with type=bind, a bare name is no volume", badMounts[2].mount, evidence.Contains(badMounts[2].word)),
		},
	}
}

// askBothWays runs a container with --mount, one with -v, and makes mistakes.
func askBothWays(_ context.Context, b *bench.Bench) error {
	if err := os.Mkdir(b.Path("site"), 0o755); err != nil {
		return err
	}
	long := contained{name: "long", image: "box", command: onlyWaits}
	for _, text := range longMounts {
		s, err := volumedemo.ParseMount(text, b.Dir)
		if err != nil {
			return err
		}
		long.mounts = append(long.mounts, s)
	}
	short := contained{name: "short", image: "box", volumes: shortMounts, tmpfs: map[string]string{"/memory": "size=64k"}, command: onlyWaits}
	errs := []error{long.run(b), short.run(b)}
	for _, bad := range badMounts {
		_, err := volumedemo.ParseMount(bad.mount, b.Dir)
		errs = append(errs, say(b, bad.file, err))
	}
	return errors.Join(errs...)
}

func readBothWays(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	long, err := b.Pid("long")
	if err != nil {
		return nil, err
	}
	short, err := b.Pid("short")
	if err != nil {
		return nil, err
	}
	line := func(pid int, path string) string {
		source, options := mountLine(pid, path)
		return source + ", " + firstOption(options)
	}
	return []evidence.Fact{
		evidence.F("/site", "/proc/PID/mountinfo", line(long, "/site"), line(short, "/site")),
		evidence.F("/data", "/proc/PID/mountinfo", line(long, "/data"), line(short, "/data")),
		evidence.F("size of /memory", "statfs(2) /proc/PID/root/memory", statfsSize(inBox(long, "/memory")), statfsSize(inBox(short, "/memory"))),
	}, nil
}

func readBadMounts(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, bad := range badMounts {
		facts = append(facts, evidence.F(bad.mount, "cat "+bad.file, firstLine(fileText(b.Path(bad.file)))))
	}
	return facts, nil
}

const bypassScript = "echo in the volume > /data/by-writer; echo in the layer > /by-writer"

func volumeBypassStep() bench.Step {
	return bench.Step{
		Name: "bypass", Inside: "copy", Reproduces: []string{"vol-bypass"},
		Intend: intendEngine,
		Do:     commitWriter,
		ByHand: bench.ByHand{
			Lines: typed(append(append(runLines("writer", "-v data:/data box "+scriptLine(bypassScript)),
				waitForTextLine("/proc/$(cat writer.pid)/root/by-writer"),
				"cutaway diff writer > diff", "cutaway commit writer snapshot"),
				runLines("copy", "snapshot sleep 1000")...)...),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{
			{Title: "two files that the container writer wrote", Read: readBypass},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("diff lists the file in the layer", "diff lists /by-writer", evidence.Equals("yes")),
			evidence.Is("diff does not list the file in the volume", "diff lists /data/by-writer", evidence.Equals("no")),
			evidence.Becomes("the image that commit made has the file of the layer", "/by-writer in a container of the image", evidence.Equals("in the layer")),
			evidence.Is("it has the folder of the mount, but not what was in the volume", "/data in a container of the image", evidence.Equals("an empty folder")),
			evidence.Becomes("the volume has it, as ever", "by-writer in the volume", evidence.Equals("in the volume")),
		},
	}
}

func commitWriter(ctx context.Context, b *bench.Bench) error {
	writer := contained{name: "writer", image: "box", volumes: []string{"data:/data"}, command: script(bypassScript)}
	if err := writer.run(b); err != nil {
		return err
	}
	pid, err := b.Pid("writer")
	if err != nil {
		return err
	}
	if err := waitForText(ctx, inBox(pid, "/by-writer")); err != nil {
		return err
	}
	err = withEngine(b, func(e *minicontainer.Engine) error {
		changes, err := e.Diff("writer")
		if err != nil {
			return err
		}
		var text strings.Builder
		for _, c := range changes {
			fmt.Fprintln(&text, c)
		}
		return os.WriteFile(b.Path("diff"), []byte(text.String()), 0o644)
	})
	if err := errors.Join(err, commitAs(b, "writer", "snapshot")); err != nil {
		return err
	}
	return contained{name: "copy", image: "snapshot", command: onlyWaits}.run(b)
}

func readBypass(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("by-writer in the volume", "root/volumes/data/_data/by-writer", fileText(volumeData(b, "data")+"/by-writer")),
		evidence.F("diff lists /by-writer", "grep /by-writer diff", listed(b.Path("diff"), "A /by-writer")),
		evidence.F("diff lists /data/by-writer", "grep /data/by-writer diff", listed(b.Path("diff"), "A /data/by-writer")),
	}
	pid, err := b.Pid("copy")
	if err != nil {
		return facts, err
	}
	return append(facts,
		evidence.F("/by-writer in a container of the image", inBox(pid, "/by-writer"), fileText(inBox(pid, "/by-writer"))),
		evidence.F("/data in a container of the image", "ls -A "+inBox(pid, "/data"), folderText(inBox(pid, "/data"))),
	), nil
}

// listed tells whether a file has such a line.
func listed(file, line string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return evidence.Absent
	}
	for l := range strings.Lines(string(text)) {
		if strings.TrimSpace(l) == line {
			return "yes"
		}
	}
	return "no"
}

func volumeRemoveStep() bench.Step {
	return bench.Step{
		Name: "remove", Reproduces: []string{"vol-managed"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			for _, name := range []string{"next", "long", "short", "writer", "fast"} {
				if err := removeContainer(b, name, false); err != nil {
					return err
				}
			}
			return withEngine(b, func(e *minicontainer.Engine) error { return e.Volumes().Remove("data", e.VolumeUsers) })
		},
		ByHand: bench.ByHand{
			Lines: typed("cutaway rm -f next long short writer fast", "cutaway volume rm data", "cutaway volume ls"),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "the volume data on disk", Read: readDataVolume}},
		Expect: []evidence.Expectation{
			evidence.Becomes("without users the volume could be removed, with all that was in it", "path of the folder", evidence.Gone()),
			evidence.Becomes("only the anonymous volume of the container shop is left", "volumes", evidence.Matches("^[0-9a-f]{64}$")),
		},
	}
}
