package labs

import (
	"context"
	"os"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/volumedemo"
)

// The containers whose anonymous volumes are followed. Each writes its name into
// its volume, so that one can tell them apart by what is in them.
var orphanMakers = []string{"plain", "tidy", "lender"}

func orphanScript(name string) string { return "echo " + name + " > /data/whose" }

func orphanStep() bench.Step {
	var lines []string
	for _, name := range orphanMakers {
		lines = append(lines, runLines(name, "-v /data box "+scriptLine(orphanScript(name)))...)
		lines = append(lines, waitForTextLine("/proc/$(cat "+name+".pid)/root/data/whose"))
	}
	lines = append(lines, runLines("borrower", "--volumes-from lender box sleep 1000")...)
	lines = append(lines, "cutaway rm -f plain", "cutaway rm -f -v tidy", "cutaway rm -f -v lender", "cutaway volume ls --filter dangling=true")
	return bench.Step{
		Name: "orphans", Inside: "borrower", Reproduces: []string{"vol-orphan"},
		Intend: intendEngine,
		Do:     makeOrphans,
		ByHand: bench.ByHand{Lines: typed(lines...), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "volumes that are left", Read: readOrphans}},
		Expect: []evidence.Expectation{
			evidence.Becomes("after rm, the volume is left and nobody uses it: an orphan", "volume of plain", evidence.Equals("left, an orphan")),
			onlyTidyIsGone(),
			evidence.Becomes("after rm -v it is left if another container uses it", "volume of lender", evidence.Equals("left, in use")),
			evidence.Becomes("the three containers are gone", "containers", evidence.Equals("borrower db new")),
			evidence.AlwaysIs("a volume with a name is not touched by rm", "volume books", evidence.Equals("left, in use")),
		},
	}
}

// onlyTidyIsGone compares with another volume that was made at the same time: that
// there is none would be true before the act as well.
func onlyTidyIsGone() evidence.Expectation {
	uses := []string{"volume of tidy", "volume of plain"}
	return evidence.Custom("after rm -v, the volume is gone with its container", uses, func(o evidence.Observed) evidence.Verdict {
		tidy, plain := o.After.Value(uses[0]), o.After.Value(uses[1])
		return evidence.Judged(tidy == evidence.Absent && plain != evidence.Absent, "absent, while that of plain is left", tidy+", and "+plain)
	})
}

// makeOrphans makes three containers with an anonymous volume each, lends one of
// them to a fourth, and removes the three in different ways.
func makeOrphans(ctx context.Context, b *bench.Bench) error {
	for _, name := range orphanMakers {
		if err := (contained{name: name, image: "box", volumes: []string{"/data"}, command: script(orphanScript(name))}).run(b); err != nil {
			return err
		}
		pid, err := b.Pid(name)
		if err != nil {
			return err
		}
		if err := waitForText(ctx, inBox(pid, "/data/whose")); err != nil {
			return err
		}
	}
	if err := (contained{name: "borrower", image: "box", from: []string{"lender"}, command: onlyWaits}).run(b); err != nil {
		return err
	}
	for _, name := range orphanMakers {
		if err := removeContainer(b, name, name != "plain"); err != nil {
			return err
		}
	}
	return nil
}

// readOrphans finds each volume by what is in it, and its users by the mount
// tables of all processes of the containers.
func readOrphans(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	entries, err := os.ReadDir(b.Path("root", "volumes"))
	if err != nil {
		return nil, err
	}
	state := map[string]string{"books": evidence.Absent}
	for _, name := range orphanMakers {
		state[name] = evidence.Absent
	}
	for _, e := range entries {
		whose := e.Name()
		if text := fileText(volumeData(b, whose) + "/whose"); text != evidence.Absent {
			whose = text
		}
		state[whose] = "left, an orphan"
		if isMountedByOne(b, e.Name()) {
			state[whose] = "left, in use"
		}
	}
	facts := []evidence.Fact{
		evidence.F("containers", "ls root/names", namesIn(b.Path("root", "names"))),
		evidence.F("volume books", "ls root/volumes, /proc/*/mountinfo", state["books"]),
	}
	for _, name := range orphanMakers {
		facts = append(facts, evidence.F("volume of "+name, "ls root/volumes, /proc/*/mountinfo", state[name]))
	}
	return facts, nil
}

// isMountedByOne looks into the mount tables of the containers that run.
func isMountedByOne(b *bench.Bench, volume string) bool {
	return slices.ContainsFunc(append([]string{"borrower", "db", "new"}, orphanMakers...), func(name string) bool {
		pid, err := b.Pid(name)
		if err != nil {
			return false
		}
		return mountedVolume(pid, "/data") == volume || mountedVolume(pid, "/db") == volume
	})
}

func pruneStep() bench.Step {
	return bench.Step{
		Name: "prune", Inside: "borrower", Reproduces: []string{"vol-orphan"},
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			return withEngine(b, func(e *minicontainer.Engine) error {
				_, err := e.Volumes().Create(volumedemo.CreateOptions{Name: "spare"})
				if err != nil {
					return err
				}
				gone, err := e.Volumes().Prune(volumedemo.Info.Anonymous, e.VolumeUsers)
				if err != nil {
					return err
				}
				text := "Deleted Volumes:\n" + strings.Join(gone.Names, "\n") + "\n"
				return os.WriteFile(b.Path("pruned"), []byte(text), 0o644)
			})
		},
		ByHand: bench.ByHand{Lines: typed("cutaway volume create spare", "cutaway volume prune -f > pruned", "cat pruned"), Tools: []bench.Tool{cutawayTool, bench.Cat}},
		Look: []bench.View{
			{Title: "volumes that are left", Read: readOrphans},
			{Title: "volumes with a name", Read: readNamedVolumes},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the orphan is gone", "volume of plain", evidence.Gone()),
			evidence.AlwaysIs("the volume that is in use is left", "volume of lender", evidence.Equals("left, in use")),
			evidence.Becomes("a volume with a name is left, although nobody uses it", "root/volumes/spare/_data", evidence.Equals("an empty folder")),
			evidence.Becomes("prune says what it removed", "lines that prune printed", evidence.Matches("^Deleted Volumes: [0-9a-f]{64}")),
		},
	}
}

func readNamedVolumes(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	said := fileText(b.Path("pruned"))
	if said != evidence.Absent {
		said = strings.Join(strings.Fields(said), " ")
	}
	return []evidence.Fact{
		evidence.F("root/volumes/spare/_data", "ls -A", folderText(volumeData(b, "spare"))),
		evidence.F("lines that prune printed", "cat pruned", said),
	}, nil
}
