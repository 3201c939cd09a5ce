package labs

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs/aufs"
)

// aufsLab is lab 15: layers, as Docker's first storage driver stacked them.
func aufsLab() bench.Lab {
	return bench.Lab{ID: "15", Name: "aufs", Needs: needs("fuse"), Steps: []bench.Step{
		aufsUnionStep(),
		aufsDefaultStep(),
		aufsBranchesStep(),
		aufsCopyStep(),
		aufsAgainStep(),
		aufsWhiteoutStep(),
		aufsFolderStep(),
		aufsOpaqueStep(),
		aufsFreshStep(),
		aufsImageStep(),
		aufsContainerStep(),
	}}
}

// cutaway is this program, as a tool of shell lines.
func cutaway() bench.Tool { return bench.Tool{Program: executable(), Package: "cutaway"} }

// mountAufs mounts a union: by the kernel's module where there is one, else by
// a server in user space. The server carries the run's token, and ends when
// the mount namespace that sees its union does.
func mountAufs(target, options string) error {
	_, err := aufs.Mount(aufs.Spec{Target: target, Options: options})
	return aufs.Explain(err)
}

func mountAufsLine(target, options string) string {
	return executable() + " aufs mount -o " + options + " " + target
}

func unmountAufs(target string) error {
	union, err := aufs.Find(target)
	if err != nil {
		return err
	}
	return union.Unmount()
}

// readBranches reads the branch list back, from sysfs or from the server.
func readBranches(target string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		union, err := aufs.Find(target)
		if err != nil {
			return nil, err
		}
		state, err := union.State()
		if err != nil {
			return nil, err
		}
		facts := []evidence.Fact{evidence.F("served by", "statfs(2) "+target, string(union.Kind))}
		for i, br := range state.Branches {
			dir, err := filepath.Rel(b.Dir, br.Path)
			if err != nil {
				return facts, err
			}
			facts = append(facts, evidence.F(fmt.Sprintf("br%d", i), branchSource(union.Kind, state.SI, i, target), dir+"="+br.Perm))
		}
		return facts, nil
	}
}

// branchSource is where a person can read a branch again.
func branchSource(kind aufs.Kind, si string, i int, target string) string {
	if kind == aufs.KindKernel {
		return fmt.Sprintf("/sys/fs/aufs/si_%s/br%d", si, i)
	}
	return "cutaway aufs branches " + target
}

// The two branches of the first steps, and what they hold.
var fruit = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"union/":           "",
		"upper/only-upper": "from upper\n", "upper/both": "from upper\n",
		"lower/only-lower": "from lower\n", "lower/both": "from lower\n",
	}
})

func aufsUnionStep() bench.Step {
	return bench.Step{
		Name: "union", Reproduces: []string{"aufs-union"},
		Do: func(context.Context, *bench.Bench) error {
			if err := writeFiles(fruit()); err != nil {
				return err
			}
			return mountAufs("union", "br:upper:lower")
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return []string{
					"mkdir upper lower union",
					"echo from upper | tee upper/only-upper upper/both",
					"echo from lower | tee lower/only-lower lower/both",
					mountAufsLine("union", "br:upper:lower"),
					"grep -r . union",
				}
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Grep, cutaway()},
		},
		Look: []bench.View{
			{Title: "the same path in each folder", Columns: []string{"upper", "lower", "union"}, Read: readSideBySide(
				[]string{"only-upper", "only-lower", "both"}, "upper", "lower", "union")},
			{Title: "the union's branches", Read: readBranches("union")},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("a file of the upper branch is in the union", "only-upper", 0, 2),
			evidence.ColumnsSame("a file of the lower branch is in the union", "only-lower", 1, 2),
			evidence.ColumnsSame("where both have the path, the union shows the upper one", "both", 0, 2),
			evidence.ColumnsDiffer("the lower one is hidden, not merged", "both", 1, 2),
			evidence.Becomes("an AUFS is mounted, the kernel's or cutaway's", "served by", evidence.OneOf(string(aufs.KindKernel), string(aufs.KindFUSE))),
		},
	}
}

// readSideBySide compares the same paths in several folders.
func readSideBySide(paths []string, folders ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, path := range paths {
			f := evidence.Fact{Name: path, From: look(folders[len(folders)-1]+"/"+path) + " */" + path}
			for _, dir := range folders {
				f.Values = append(f.Values, lies(dir+"/"+path))
			}
			facts = append(facts, f)
		}
		return facts, nil
	}
}

func aufsDefaultStep() bench.Step {
	return bench.Step{
		Name: "default-rw", Reproduces: []string{"aufs-default-rw"},
		Do: func(context.Context, *bench.Bench) error {
			for _, name := range []string{"only-upper", "only-lower", "both"} {
				if err := appendLine("union/"+name, "changed"); err != nil {
					return err
				}
			}
			return nil
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("for f in only-upper only-lower both; do echo changed >> union/$f; done"),
		},
		Look: []bench.View{
			{Title: "the union's branches", Read: readBranches("union")},
			{Title: "the files in each branch", Read: readPaths(
				"upper/only-upper", "upper/both", "upper/only-lower", "lower/only-lower", "lower/both", "union/only-lower")},
		},
		Expect: []evidence.Expectation{
			evidence.AlwaysIs("no permission was named: the first branch is rw", "br0", evidence.Equals("upper=rw")),
			evidence.AlwaysIs("every other branch is ro", "br1", evidence.Equals("lower=ro")),
			evidence.Becomes("the upper branch's own file was changed in place", "upper/only-upper", evidence.Equals("from upper; changed")),
			evidence.Becomes("so was the one that both have", "upper/both", evidence.Equals("from upper; changed")),
			evidence.Becomes("the lower branch's file was copied to the upper branch and changed there", "upper/only-lower", evidence.Equals("from lower; changed")),
			evidence.Becomes("the union shows the changed copy", "union/only-lower", evidence.Equals("from lower; changed")),
			evidence.Keeps("in the lower branch the file is what it was", "lower/only-lower"),
			evidence.Keeps("so is the hidden one", "lower/both"),
		},
	}
}
