package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// peer is a container that tells what it is, from inside, and ends with a
// status of its own.
var peer = bundle{name: "peer", args: []string{"sh", "/bin/tell"}}

// tell is its program.
var tell = []string{
	"echo hostname: $(hostname)",
	"echo pid: $$",
	"echo user: $(id -u)",
	"echo open files: $(ulimit -n)",
	"echo programs: $(ls /bin | wc -l)",
	"echo mounts: $(cat /proc/self/mountinfo | wc -l)",
	"echo network devices: $(ls /sys/class/net)",
	"while read name value; do case $name in Cap*|NoNewPrivs:|Seccomp:) echo $name $value;; esac; done < /proc/self/status",
	"touch /new",
	"echo write to the root: $?",
	"exit 3",
}

// tellLines write it by hand, a line for each.
func tellLines() []string {
	var lines []string
	for _, line := range tell {
		lines = append(lines, "echo "+shellQuote(line)+" >> rootfs/bin/tell")
	}
	return lines
}

// peerLines are what it prints and what is compared.
var peerLines = []string{"hostname", "pid", "user", "open files", "programs", "mounts", "network devices",
	"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "write to the root", "exit"}

func runtimePeerStep() bench.Step {
	return bench.Step{
		Name: "runc", Reproduces: []string{"part-runtime"}, Extra: true, Needs: needs("cgroup.delegation"),
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			undos, err := intendBundles(peer)(b)
			return append(namedGroups(peer.groupName(b)), undos...), err
		},
		Do: runBoth,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(slices.Concat(tellLines(), peer.writeLines(b)), peer.runToEndLine(),
					"runc --root runc run --bundle peer peer > runc.out 2>&1 < /dev/null; echo exit $? >> runc.out")
			},
			Tools: append(bundleTools, bench.Tool{Program: "runc", Package: "runc"}),
		},
		Look: []bench.View{{Title: "the same bundle, asked from inside", Columns: []string{"cutaway", "runc"}, Read: readBoth}},
		Expect: []evidence.Expectation{
			bothSay("both give it the same name, number, user and limits", "hostname", "pid", "user", "open files"),
			bothSay("both give it the same files, mounts and network devices", "programs", "mounts", "network devices"),
			bothSay("both give it the same five sets of capabilities", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
			bothSay("both let it gain no privileges, and filter no system calls", "NoNewPrivs", "Seccomp"),
			bothSay("both refuse to write to its root", "write to the root"),
			evidence.Custom("both end with the program's own status", []string{"exit"}, func(o evidence.Observed) evidence.Verdict {
				a, b := o.After.Column("exit", 0), o.After.Column("exit", 1)
				return evidence.Judged(a == "3" && b == "3", "3 and 3", a+" and "+b)
			}),
		},
	}
}

// namedGroups are what runc makes in hierarchies of version 1 that have a name
// and no controller, as systemd's.
func namedGroups(name string) []journal.Undo {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil
	}
	var undos []journal.Undo
	for _, h := range hs.List {
		if h.Version == cgroupdemo.V1 && len(h.Controllers) == 0 && h.MountPoint != "" {
			undos = append(undos, journal.Undo{Kind: journal.RemoveCgroup, Path: h.MountPoint + "/" + name})
		}
	}
	return undos
}

// runBoth lets both runtimes run the bundle to its end.
func runBoth(ctx context.Context, b *bench.Bench) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return &evidence.CannotTest{Reason: "the program runc is not installed", WayOut: "apt-get install runc"}
	}
	if err := os.WriteFile(b.Path("rootfs/bin/tell"), []byte(strings.Join(tell, "\n")), 0o644); err != nil {
		return err
	}
	if err := errors.Join(peer.write(b), peer.runToEnd(ctx, b)); err != nil {
		return err
	}
	out, err := os.Create(b.Path("runc.out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, runc, "--root", b.Path("runc"), "run", "--bundle", b.Path(peer.name), peer.name)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	_, err = fmt.Fprintf(out, "exit %d\n", cmd.ProcessState.ExitCode())
	return err
}

// readBoth reads what each wrote, line by line.
func readBoth(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	ours, theirs := printed(b, "peer.out"), printed(b, "runc.out")
	var facts []evidence.Fact
	for _, name := range peerLines {
		facts = append(facts, evidence.F(name, "peer.out, runc.out", ours(name), theirs(name)))
	}
	return facts, nil
}

// printed finds a line "NAME: VALUE" or "NAME VALUE" of a file.
func printed(b *bench.Bench, file string) func(name string) string {
	text, _ := os.ReadFile(b.Path(file))
	return func(name string) string {
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, name); ok {
				return strings.TrimSpace(strings.TrimPrefix(value, ":"))
			}
		}
		return evidence.Absent
	}
}

// bothSay claims that two columns are equal in all the rows.
func bothSay(claim string, rows ...string) evidence.Expectation {
	return evidence.Custom(claim, rows, func(o evidence.Observed) evidence.Verdict {
		ok := true
		var left, right []string
		for _, row := range rows {
			a, b := o.After.Column(row, 0), o.After.Column(row, 1)
			ok = ok && a == b && a != evidence.Absent
			left, right = append(left, a), append(right, b)
		}
		return evidence.Judged(ok, "the same in both columns: "+strings.Join(rows, ", "), strings.Join(left, ", ")+" and "+strings.Join(right, ", "))
	})
}
