package labs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/internal/ground"
	"cutaway/internal/probe"
	"cutaway/labs/bench"
)

// groundLab is lab 00: what this machine offers, before anything is done to it.
func groundLab() bench.Lab {
	return bench.Lab{ID: "00", Name: "ground", Steps: []bench.Step{
		groundFilesystemsStep(),
		groundDriverStep(),
		groundCheckStep(),
	}}
}

func groundFilesystemsStep() bench.Step {
	return bench.Step{
		Name: "filesystems", Reproduces: []string{"ground-filesystems"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("cat /proc/filesystems"),
			Tools: []bench.Tool{bench.Cat},
		},
		Look: []bench.View{
			{Title: "file systems for image layers", Columns: []string{"in the list", "asked live", "what it does here, or what does it instead"}, Read: readFilesystems},
		},
		Expect: []evidence.Expectation{
			agree("overlay"), agree("aufs"), agree("btrfs"), agree("xfs"), agree("fuse"),
		},
	}
}

// agree claims that the list in /proc and the live question say the same of a
// file system. A module that would load on demand is not in the list yet.
func agree(fs string) evidence.Expectation {
	return evidence.Custom("the list and the kernel's answer agree on "+fs, []string{fs}, func(o evidence.Observed) evidence.Verdict {
		list, live := o.After.Column(fs, 0), o.After.Column(fs, 1)
		ok := (list == "yes" && live == "yes") || (list == "no" && live != "yes" && live != evidence.Absent)
		return evidence.Judged(ok, fs+": listed where it answers, and not where it does not", list+" and "+live)
	})
}

// readFilesystems asks twice: /proc/filesystems, and a live probe.
func readFilesystems(ctx context.Context, _ *bench.Bench) ([]evidence.Fact, error) {
	listed, err := ground.Registered()
	if err != nil {
		return nil, err
	}
	var ids []probe.ID
	for _, fs := range ground.Filesystems {
		ids = append(ids, probe.ID("fs."+fs.Name))
	}
	live := map[probe.ID]probe.Result{}
	for _, r := range probe.Run(ctx, probe.Options{}, ids...) {
		live[r.ID] = r
	}
	var facts []evidence.Fact
	for _, fs := range ground.Filesystems {
		inList, uses := "no", fs.Otherwise
		if listed[fs.Name] {
			inList = "yes"
		}
		asked := live[probe.ID("fs."+fs.Name)]
		if probe.Usable(asked.State) {
			uses = fs.Use
		}
		facts = append(facts, evidence.F(fs.Name, "/proc/filesystems; "+lastCall(asked), inList, string(asked.State), uses))
	}
	return facts, nil
}

func groundDriverStep() bench.Step {
	return bench.Step{
		Name: "driver", Reproduces: []string{"ground-driver"},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string { return []string{executable() + " info"} },
			Tools: []bench.Tool{{Program: executable(), Package: "cutaway"}},
		},
		Look: []bench.View{{Title: "what layers will stand on", Read: readInfo}},
		Expect: []evidence.Expectation{
			evidence.Is("there is a storage driver for this machine", "storage driver", evidence.OneOf("overlay2", "vfs")),
			evidence.Custom("overlay2 is chosen only where the folder tells file types (d_type)", []string{"storage driver", "d_type"},
				func(o evidence.Observed) evidence.Verdict {
					driver, dtype := o.After.Value("storage driver"), o.After.Value("d_type")
					return evidence.Judged(driver == "vfs" || dtype == "yes", "overlay2 with d_type, or vfs", driver+" with d_type "+dtype)
				}),
			evidence.Is("the version of control groups is told", "cgroup version", evidence.OneOf("1", "2", "1 and 2 (hybrid)", "none mounted")),
		},
	}
}

func executable() string {
	exe, err := os.Executable()
	if err != nil {
		return "cutaway"
	}
	return exe
}

func readInfo(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if b.Where == "userns" {
		return ground.Info(ctx, ground.HomeRoot())
	}
	return ground.Info(ctx, ground.StateRoot())
}

func groundCheckStep() bench.Step {
	return bench.Step{
		Name: "check", Reproduces: []string{"ground-check"},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string { return []string{executable() + " check ns cgroup overlay || true"} },
			Tools: []bench.Tool{{Program: executable(), Package: "cutaway"}},
		},
		Look: []bench.View{
			{Title: "what the labs need", Columns: []string{"state", "labs", "way out"}, Read: readCheck},
			{Title: "all features, by state", Read: readStates},
		},
		Expect: []evidence.Expectation{
			evidence.Is("the kernel has mount namespaces", "ns.mnt", evidence.Equals("yes")),
			sumOfStates(),
			evidence.Is("for each feature that is not there, there is a way out", "without a way out", evidence.Equals("none")),
		},
	}
}

// readCheck lists what some lab needs. All that there is to know, also of
// features that no lab needs, `cutaway check` tells.
func readCheck(ctx context.Context, _ *bench.Bench) ([]evidence.Fact, error) {
	needed := NeededBy()
	var facts []evidence.Fact
	for _, r := range probe.Run(ctx, probe.Options{}) {
		if len(needed[r.ID]) == 0 {
			continue
		}
		wayOut := "none needed"
		if !probe.Usable(r.State) {
			wayOut = r.Fix
		}
		facts = append(facts, evidence.F(string(r.ID), lastCall(r), string(r.State), strings.Join(needed[r.ID], " "), wayOut))
	}
	return facts, nil
}

func lastCall(r probe.Result) string {
	for _, e := range r.Evidence {
		if e.Call != "" {
			return e.Call
		}
	}
	return "cutaway check " + string(r.ID)
}

// readStates counts the answers. A feature without one of the seven states
// would be missing from the sum.
func readStates(ctx context.Context, _ *bench.Bench) ([]evidence.Fact, error) {
	counts, rows := map[probe.State]int{}, probe.Run(ctx, probe.Options{})
	stuck := "none"
	for _, r := range rows {
		counts[r.State]++
		if !probe.Usable(r.State) && r.Fix == "" {
			stuck = string(r.ID)
		}
	}
	facts := []evidence.Fact{evidence.F("features probed", "cutaway check", fmt.Sprint(len(rows)))}
	for _, s := range []probe.State{probe.Yes, probe.Module, probe.Off, probe.Denied, probe.Limit, probe.No, probe.Unknown} {
		facts = append(facts, evidence.F("features that are "+string(s), "cutaway check", fmt.Sprint(counts[s])))
	}
	return append(facts, evidence.F("without a way out", "cutaway check", stuck)), nil
}

// sumOfStates claims that every feature got one of the seven answers.
func sumOfStates() evidence.Expectation {
	uses := []string{"features probed"}
	for _, s := range []probe.State{probe.Yes, probe.Module, probe.Off, probe.Denied, probe.Limit, probe.No, probe.Unknown} {
		uses = append(uses, "features that are "+string(s))
	}
	return evidence.Custom("every feature got one of the seven answers", uses, func(o evidence.Observed) evidence.Verdict {
		sum := 0.0
		for _, name := range uses[1:] {
			n, _ := evidence.Number(o.After.Value(name))
			sum += n
		}
		all, ok := evidence.Number(o.After.Value(uses[0]))
		return evidence.Judged(ok && all > 0 && sum == all, "the counts add up to the number of features", fmt.Sprintf("%g of %g", sum, all))
	})
}
