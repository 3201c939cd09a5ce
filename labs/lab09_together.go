package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// togetherLab is lab 09: all that Docker makes at once, how one enters it, and
// how a namespace outlives its processes (lab09_keep.go).
func togetherLab() bench.Lab {
	return bench.Lab{ID: "09", Name: "together", Needs: needs("ns.mnt", "ns.uts", "ns.ipc", "ns.pid", "ns.net", "ns.cgroup", "proc.pidfd-setns"), Steps: []bench.Step{
		togetherSixStep(),
		togetherJoinStep(),
		togetherChildrenStep(),
		togetherPinStep(),
		togetherEndStep(),
		togetherReenterStep(),
	}}
}

// hostname is the learner's choice (--set hostname=NAME).
func hostname(b *bench.Bench) string { return b.Param("hostname", "cutaway-box") }

func togetherSixStep() bench.Step {
	return bench.Step{
		Name: "six", Inside: inner,
		Reproduces: []string{"ns-six"},
		Do:         startSix,
		ByHand: bench.ByHand{
			// The new shell reads its pid from the host's /proc while it still sees
			// that one: its own getpid(2) says 1.
			Lines: func(b *bench.Bench) []string {
				return []string{
					"unshare --mount --uts --ipc --pid --net --cgroup --fork sh -c 'hostname " + hostname(b) +
						"; read pid rest < /proc/self/stat; mount -t proc proc /proc; echo $pid > inner.pid; exec sleep 1000' &",
					"until [ -s inner.pid ]; do sleep 0.01; done",
				}
			},
			Tools: []bench.Tool{bench.Unshare, bench.Hostname, bench.Mount, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "the eight namespaces of the process", Columns: []string{"inside", "host", "it is"}, Read: readEight},
			{Title: "the process", Read: readFirst},
		},
		Expect: []evidence.Expectation{
			allDiffer("six are new: mnt, uts, ipc, pid, net and cgroup", nsdemo.DockerKinds()),
			allEqual("two are the host's, since Docker leaves them alone: user and time", []nsdemo.Kind{nsdemo.User, nsdemo.Time}),
			evidence.Becomes("in its pid namespace the process is number 1", "pid inside", evidence.Equals("1")),
			evidence.Becomes("in its uts namespace it has the name that was chosen", "hostname inside", evidence.Param("hostname")),
		},
	}
}

// startSix clones one process into all of them at once: six flags, one system
// call. What Docker does beyond that needs more than namespaces.
func startSix(ctx context.Context, b *bench.Bench) error {
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: nsdemo.DockerKinds(), Hostname: hostname(b), Proc: true})
	if errors.Is(err, unix.EPERM) && b.Where == "userns" {
		// mount_namespaces(7): who sees only part of /proc may not mount a whole one.
		return &evidence.CannotTest{
			Reason: "this system does not let ordinary users mount a /proc of their own",
			WayOut: "run it as root, or outside of the container that covers parts of /proc",
		}
	}
	if err != nil {
		return err
	}
	return b.Keep(inner, p)
}

// allDiffer claims that the first two columns differ in each row.
func allDiffer(claim string, kinds []nsdemo.Kind) evidence.Expectation {
	return eachKind(claim, kinds, "different", func(a, b string) bool { return a != b })
}

// allEqual claims that the first two columns are equal in each row.
func allEqual(claim string, kinds []nsdemo.Kind) evidence.Expectation {
	return eachKind(claim, kinds, "equal", func(a, b string) bool { return a == b })
}

// eachKind passes over a kind that this kernel does not have (time, before 5.6).
func eachKind(claim string, kinds []nsdemo.Kind, word string, ok func(a, b string) bool) evidence.Expectation {
	var uses []string
	for _, k := range kinds {
		uses = append(uses, string(k))
	}
	return evidence.Custom(claim, uses, func(o evidence.Observed) evidence.Verdict {
		var right, wrong []string
		for _, k := range uses {
			a, b := o.After.Column(k, 0), o.After.Column(k, 1)
			_, read := o.After[k]
			switch {
			case !read:
			case a != evidence.Absent && b != evidence.Absent && ok(a, b):
				right = append(right, k)
			default:
				wrong = append(wrong, k)
			}
		}
		got := fmt.Sprintf("%s: %s; otherwise: %s", word, orNone(right), orNone(wrong))
		return evidence.Judged(len(right) > 0 && len(wrong) == 0, word+" on both sides: "+strings.Join(uses, " "), got)
	})
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

// readEight compares all namespaces of inner with those of the lab host.
func readEight(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := compareIDs(b, inner, os.Getpid())
	for i, f := range facts {
		whose := "its own"
		if f.Values[0] == f.Values[1] {
			whose = "the host's"
		}
		if f.Values[0] == evidence.Absent {
			whose = evidence.Absent
		}
		facts[i].Values = append(f.Values, whose)
	}
	return facts, err
}

// compareIDs lists the namespaces of a process on the bench beside another's.
func compareIDs(b *bench.Bench, name string, other int) ([]evidence.Fact, error) {
	theirs, err := nsdemo.IDs("/proc", other)
	if err != nil {
		return nil, err
	}
	pid, missing := b.Pid(name)
	own := map[nsdemo.Kind]uint64{}
	if missing == nil {
		if own, err = nsdemo.IDs("/proc", pid); err != nil {
			return nil, err
		}
	}
	var facts []evidence.Fact
	for _, k := range nsdemo.Kinds() {
		if theirs[k] == 0 {
			continue // this kernel does not have the kind
		}
		id := evidence.Absent
		if own[k] != 0 {
			id = fmt.Sprint(own[k])
		}
		facts = append(facts, evidence.F(string(k), fmt.Sprintf("readlink /proc/%s/ns/%s", pidOr(pid), k), id, fmt.Sprint(theirs[k])))
	}
	return facts, nil
}

// readFirst reads what the process is called in its namespaces.
func readFirst(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	hostname(b)
	facts, err := innerPidFact(b, "pid inside", inner)
	if err != nil {
		return facts, err
	}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	name, err := p.Hostname(ctx)
	return append(facts, evidence.F("hostname inside", "uname(2) in the namespace", name)), err
}

// innerPidFact reads the pid of a process in its own pid namespace, which is
// the last number of NSpid.
func innerPidFact(b *bench.Bench, fact, name string) ([]evidence.Fact, error) {
	pid, err := b.Pid(name)
	if err != nil {
		return nil, err
	}
	status, err := nsdemo.ReadStatus("/proc", pid)
	if err != nil {
		return nil, err
	}
	return []evidence.Fact{evidence.F(fact, fmt.Sprintf("NSpid in /proc/%d/status", pid), fmt.Sprint(status.InnerPid()))}, nil
}

func togetherJoinStep() bench.Step {
	return bench.Step{
		Name: "join", Inside: joiner,
		Reproduces: []string{"ns-join"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			pid, err := b.Pid(inner)
			if err != nil {
				return err
			}
			p, err := nsdemo.Join(ctx, pid, nsdemo.DockerKinds()...)
			if err != nil {
				return err
			}
			return b.Keep(joiner, p)
		},
		ByHand: bench.ByHand{
			// nsenter forks, for the sake of the pid namespace; its child is the joiner.
			Lines: bench.Lines(
				"nsenter --target $(cat inner.pid) --mount --uts --ipc --net --pid --cgroup sleep 1000 & echo $! > nsenter.pid",
				waitForChildSleep("nsenter"),
				"ps -o pid= --ppid $(cat nsenter.pid) > joiner.pid"),
			Tools: []bench.Tool{bench.Nsenter, bench.Ps, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "the eight namespaces of both", Columns: []string{"the joiner", "the target"}, Read: readJoined},
			{Title: "the joiner", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
				return innerPidFact(b, "pid of the joiner inside", joiner)
			}},
		},
		Expect: []evidence.Expectation{
			allEqual("each namespace of the joiner is the target's", nsdemo.Kinds()),
			evidence.Becomes("in the pid namespace the joiner is one more process, not number 1", "pid of the joiner inside", evidence.AtLeast(2)),
		},
	}
}

// waitForChildSleep is a shell line that waits until the process of NAME.pid has
// a child which runs sleep. Any child would not do: before a background job
// becomes nsenter, it has had one that ran `cat inner.pid` for it.
func waitForChildSleep(name string) string {
	return "until ps -o comm= --ppid $(cat " + name + ".pid) | grep -qx sleep; do sleep 0.01; done"
}

// readJoined compares the joiner with its target.
func readJoined(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	target, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	return compareIDs(b, joiner, target)
}

// caller is a process that calls setns(2) itself.
const caller = "caller"

func togetherChildrenStep() bench.Step {
	return bench.Step{
		Name:       "children",
		Reproduces: []string{"ns-join"},
		Do:         setPidNamespace,
		ByHand: bench.ByHand{
			// The shell has to wait for its child: a zombie that nobody reaps keeps
			// process 1 of its pid namespace from ending.
			Lines: bench.Lines(
				"nsenter --target $(cat inner.pid) --pid --no-fork sh -c 'sleep 1000 & wait' & echo $! > caller.pid",
				waitForChildSleep("caller")),
			Tools: []bench.Tool{bench.Nsenter, bench.Ps, bench.Sleep},
		},
		Look: []bench.View{{Title: "pid namespaces", Read: readPidNamespaces}},
		Expect: []evidence.Expectation{
			evidence.Same("who calls setns(2) stays in its own pid namespace: a pid never changes", "of the caller", "of the lab host"),
			evidence.Same("but what its children will be in is the target's", "for children of the caller", "of the target"),
			evidence.Same("and there its child is", "of the caller's child", "of the target"),
		},
	}
}

// setPidNamespace lets a process join the pid namespace alone, and have a child.
func setPidNamespace(ctx context.Context, b *bench.Bench) error {
	target, err := b.Pid(inner)
	if err != nil {
		return err
	}
	p, err := nsdemo.Start(ctx, nsdemo.Spec{})
	if err != nil {
		return err
	}
	if err := b.Keep(caller, p); err != nil {
		return err
	}
	if err := p.Setns(ctx, target, nsdemo.PID); err != nil {
		return err
	}
	_, err = p.Spawn(ctx, "sleep", "1000")
	return err
}

// readPidNamespaces reads them from the lab host, by pid.
func readPidNamespaces(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := namespaceFact(nil, "of the lab host", os.Getpid(), nsdemo.PID)
	if err != nil {
		return facts, err
	}
	target, err := b.Pid(inner)
	if err != nil {
		return facts, err
	}
	if facts, err = namespaceFact(facts, "of the target", target, nsdemo.PID); err != nil {
		return facts, err
	}
	pid, err := b.Pid(caller)
	if err != nil {
		return facts, err
	}
	if facts, err = namespaceFact(facts, "of the caller", pid, nsdemo.PID); err != nil {
		return facts, err
	}
	children, err := nsdemo.ChildrenID("/proc", pid, nsdemo.PID)
	if err != nil {
		return facts, err
	}
	facts = append(facts, evidence.F("for children of the caller", "readlink "+nsdemo.PID.ChildrenFile("/proc", pid), fmt.Sprint(children)))
	child, err := firstChild(pid)
	if err != nil {
		return facts, err
	}
	return namespaceFact(facts, "of the caller's child", child, nsdemo.PID)
}

func firstChild(pid int) (int, error) {
	all, err := nsdemo.Processes("/proc")
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if p.PPid == pid {
			return p.Pid, nil
		}
	}
	return 0, fmt.Errorf("process %d has no child: %w", pid, bench.ErrNoSubject)
}
