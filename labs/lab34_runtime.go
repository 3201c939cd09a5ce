package labs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// runtimeLab is lab 34: a folder with a config.json, and the program that turns
// it into a process and back into nothing.
func runtimeLab() bench.Lab {
	return bench.Lab{ID: "34", Name: "runtime", Needs: needs("ns.mnt", "ns.pid", "mount.pivot-root"), Steps: []bench.Step{
		runtimeBundleStep(),
		runtimeCreateStep(),
		runtimeStartStep(),
		runtimeKillStep(),
		runtimeDeleteStep(),
		runtimePeerStep(),
		runtimeExportStep(),
	}}
}

// plain is the container of this lab: config.json as `cutaway oci spec` makes it.
var plain = bundle{name: "box"}

func runtimeBundleStep() bench.Step {
	return bench.Step{
		Name: "bundle", Reproduces: []string{"part-spec"},
		Do: func(_ context.Context, b *bench.Bench) error {
			if err := errors.Join(makeRootfs(b), writeBase(b)); err != nil {
				return err
			}
			return plain.write(b)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return slices.Concat(rootfsLines, baseLines(b), plain.writeLines(b))
			},
			Tools: append(rootfsTools, bundleTools...),
		},
		Look: []bench.View{
			{Title: "the root file system", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
				return []evidence.Fact{rootfsFact(b, "bin/busybox"), rootfsFact(b, "bin/sh"), rootfsFact(b, "proc"), rootfsFact(b, "etc/passwd")}, nil
			}},
			{Title: "the file config.json", Read: readConfig},
			{Title: "the container", Read: readPlain},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is a root file system: one program, and other names for it", "rootfs/bin/busybox", evidence.Matches("^-..x")),
			evidence.Becomes("the file names the root file system", ".root.path", evidence.Equals("../rootfs")),
			evidence.Becomes("the file says which program is to run", ".process.args", evidence.Contains("sleep 1000")),
			evidence.Becomes("the file says which namespaces are to be made", ".linux.namespaces", evidence.Contains("pid")),
			evidence.AlwaysIs("a bundle is only a folder: the runtime knows of no container", "status", evidence.Gone()),
		},
	}
}

// readConfig reads the parts of the file that the next step finds in the kernel.
func readConfig(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	s, err := plain.read(b)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, p := range configParts {
		facts = append(facts, evidence.F(p.key, "jq "+p.key+" box/config.json", p.inFile(s)))
	}
	return facts, nil
}

func runtimeCreateStep() bench.Step {
	return bench.Step{
		Name: "create", Reproduces: []string{"part-spec", "part-runtime"}, Inside: plain.name,
		Intend: intendBundles(plain),
		Do:     func(_ context.Context, b *bench.Bench) error { return plain.create(b) },
		ByHand: bench.ByHand{Lines: bench.Lines(plain.createLine()), Tools: []bench.Tool{cutawayTool}},
		Look: []bench.View{
			{Title: "the container", Read: readPlain},
			{Title: "what each part of the file turned into", Columns: []string{"in config.json", "in the kernel"}, Read: readParts},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container is created", "status", evidence.Equals("created")),
			evidence.Becomes("a process is there for it", "process", evidence.Present()),
			evidence.ColumnsSame("it has new namespaces, those that the file lists", ".linux.namespaces", 0, 1),
			evidence.ColumnsSame("it has the hostname of the file", ".hostname", 0, 1),
			evidence.ColumnsSame("its root is mounted as the file says", ".root.readonly", 0, 1),
			evidence.ColumnsSame("what the file wants mounted is mounted", ".mounts", 0, 1),
			evidence.ColumnsSame("it is the user of the file", ".process.user", 0, 1),
			evidence.ColumnsSame("it can never have other capabilities than those of the file", ".process.capabilities", 0, 1),
			evidence.ColumnsSame("it may open as many files as the file says", ".process.rlimits", 0, 1),
			evidence.ColumnsDiffer("but the program does not run yet: the runtime's own first stage waits in its place", ".process.args", 0, 1),
			evidence.Becomes("it waits at a named pipe in the state folder", "state/box/exec.fifo", evidence.Present()),
		},
	}
}

func runtimeStartStep() bench.Step {
	return bench.Step{
		Name: "start", Reproduces: []string{"part-runtime"}, Inside: plain.name,
		Do:     plain.start,
		ByHand: bench.ByHand{Lines: bench.Lines(append(plain.startLines(), ociLine+"list")...), Tools: []bench.Tool{cutawayTool, bench.Ps, bench.Grep, bench.Sleep}},
		Look:   []bench.View{{Title: "the container", Read: readPlain}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container runs", "status", evidence.Equals("running")),
			evidence.Becomes("the process has become the program of the file", "program", evidence.Contains("sleep 1000")),
			evidence.Keeps("it is the same process: execve(2) changes the program, not the pid", "process"),
			evidence.Becomes("the pipe is gone: nobody waits any more", "state/box/exec.fifo", evidence.Gone()),
			evidence.Becomes("the runtime lists it", "list", evidence.Equals("box running")),
		},
	}
}

func runtimeKillStep() bench.Step {
	return bench.Step{
		Name: "kill", Reproduces: []string{"part-runtime"},
		Do: killPlain,
		ByHand: bench.ByHand{
			Lines: bench.Lines(ociLine+"kill box TERM", "until "+ociLine+"state box | grep -q '\"stopped\"'; do sleep 0.01; done"),
			Tools: []bench.Tool{cutawayTool, bench.Grep, bench.Sleep},
		},
		Look: []bench.View{{Title: "the container", Read: readPlain}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container is stopped", "status", evidence.Equals("stopped")),
			evidence.Becomes("its process is gone", "process", evidence.Gone()),
			evidence.Keeps("what the runtime remembers of it is still there", "state/box"),
			evidence.Keeps("so is its control group", "control group"),
		},
	}
}

// killPlain sends the signal and waits until the runtime says that it stopped.
func killPlain(ctx context.Context, b *bench.Bench) error {
	c, err := runtimeOf(b).Open(plain.name)
	if err != nil {
		return err
	}
	if err := c.Kill(unix.SIGTERM); err != nil {
		return err
	}
	return waitFor(ctx, "the container has stopped", func() bool { return c.Status() == "stopped" })
}

func runtimeDeleteStep() bench.Step {
	return bench.Step{
		Name: "delete", Reproduces: []string{"part-runtime"},
		Do:     func(_ context.Context, b *bench.Bench) error { return runtimeOf(b).Delete(plain.name, false) },
		ByHand: bench.ByHand{Lines: bench.Lines(ociLine+"delete box", "! "+ociLine+"state box"), Tools: []bench.Tool{cutawayTool}},
		Look:   []bench.View{{Title: "the container", Read: readPlain}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the runtime knows the container no more", "status", evidence.Gone()),
			evidence.Becomes("its state folder is removed", "state/box", evidence.Gone()),
			evidence.Becomes("its control group is removed", "control group", evidence.Gone()),
			evidence.Keeps("the bundle is as it was: it was never the runtime's", "box/config.json"),
		},
	}
}

// readPlain reads what there is of the container: at the runtime, in /proc, in
// the state folder, in the control groups.
func readPlain(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	status, err := plain.status(b)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{status, listFact(b), noEntry("process", "box.pid"), noEntry("program", "/proc/PID/cmdline")}
	if pid, err := b.Pid(plain.name); err == nil {
		facts[2] = evidence.F("process", "box.pid, /proc/"+fmt.Sprint(pid), fmt.Sprint(pid))
		facts[3] = evidence.F("program", fmt.Sprintf("/proc/%d/cmdline", pid), commandLine(pid))
	}
	for _, path := range []string{"state/box", "state/box/exec.fifo", "box/config.json"} {
		facts = append(facts, fileFact(b, path))
	}
	group, err := plain.groupFact(b)
	return append(facts, group...), err
}

func noEntry(name, from string) evidence.Fact { return evidence.F(name, from, evidence.Absent) }

// fileFact is the mode of a file in the scratch folder, as ls -l has it.
func fileFact(b *bench.Bench, path string) evidence.Fact {
	value := evidence.Absent
	if info, err := os.Lstat(b.Path(path)); err == nil {
		value = info.Mode().String()
	}
	return evidence.F(path, "ls -ld "+path, value)
}

// listFact is what `cutaway oci list` prints, without the columns that change.
func listFact(b *bench.Bench) evidence.Fact {
	value := evidence.Absent
	if all, err := runtimeOf(b).List(); err == nil && len(all) > 0 {
		value = all[0].ID + " " + string(all[0].Status())
	}
	return evidence.F("list", ociLine+"list", value)
}
