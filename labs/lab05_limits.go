package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// The second half of lab 05: where the power of an inner root ends, and how a
// machine can refuse it altogether.

const (
	rebel = "rebel" // an inner root that tries what it may not do
	cell  = "cell"  // pid 1 of a pid namespace, below which another root tries to reboot
)

func userRefusedStep() bench.Step {
	return bench.Step{
		Name: "refused", Inside: inner, Needs: needs("ns.user.unprivileged"),
		Reproduces: []string{"ns-user-reboot"},
		Do:         startAsOrdinary(rebel),
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(startAsOrdinaryByHand(b, rebel),
					"! "+enterAsRoot(b, rebel)+"hostname cutaway-rebel",
					"! "+enterAsRoot(b, rebel)+"--mount mount -t ext4 -o ro "+blockDevice()+" /mnt")
			},
			Tools: append([]bench.Tool{bench.Hostname, bench.Mount}, userTools...),
		},
		Look: []bench.View{
			{Title: "what it has", Read: readPower},
			{Title: "what the kernel answers it", Columns: []string{"answer", "capability asked for", "in user namespace", "it has it in"}, Read: readRefusals},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the inner root does have CAP_SYS_ADMIN", "capabilities", evidence.Contains("CAP_SYS_ADMIN")),
			evidence.Becomes("to set the host's hostname is refused: EPERM", "sethostname(2)", evidence.Equals("EPERM")),
			evidence.ColumnsDiffer("the user namespace that owns the hostname is not the one in which it has the capability", "sethostname(2)", 2, 3),
			evidence.Becomes("to mount a block device is refused: EPERM", "mount(2) of a block device", evidence.Equals("EPERM")),
			evidence.Keeps("the host's hostname is what it was", "hostname outside"),
		},
	}
}

// readPower reads the effective capabilities, which are masks without a word
// about where they count.
func readPower(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	name, err := nsdemo.Hostname()
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("hostname outside", "uname(2) on the lab host", name)}
	pid, err := b.Pid(rebel)
	if err != nil {
		return facts, err
	}
	status, err := nsdemo.ReadStatus("/proc", pid)
	var notable []string
	all := nsdemo.CapabilityNames(status.CapEff)
	for _, c := range all {
		if c == "CAP_SYS_ADMIN" || c == "CAP_SYS_BOOT" {
			notable = append(notable, c)
		}
	}
	value := fmt.Sprintf("%d, with %s", len(all), strings.Join(notable, " and "))
	return append(facts, evidence.F("capabilities", fmt.Sprintf("/proc/%d/status, CapEff", pid), value)), err
}

// readRefusals asks the kernel again each time: an attempt that is refused
// changes nothing.
func readRefusals(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	p, err := b.Inside(ctx, rebel)
	if err != nil {
		return nil, err
	}
	own, err := nsdemo.ID("/proc", p.Pid(), nsdemo.User)
	if err != nil {
		return nil, err
	}
	uts, err := nsdemo.Inspect("/proc", p.Pid(), nsdemo.UTS)
	if err != nil {
		return nil, err
	}
	device := blockDevice()
	return []evidence.Fact{
		evidence.F("sethostname(2)", "sethostname(2) inside, ioctl(NS_GET_USERNS)",
			answer(p.SetHostname(ctx, "cutaway-rebel")), "CAP_SYS_ADMIN", ownerText(uts.OwnerNS), fmt.Sprint(own)),
		evidence.F("mount(2) of a block device", "mount(2) "+device+" inside",
			answer(p.MountDevice(ctx, device, "/mnt")), "CAP_SYS_ADMIN", "the initial one", fmt.Sprint(own)),
	}, nil
}

// ownerText names a user namespace. One above our own is not shown to us.
func ownerText(inode uint64) string {
	if inode == 0 {
		return "one above the lab host's"
	}
	return fmt.Sprint(inode)
}

// blockDevice is some disk of this machine, to be tried and refused. Whether
// it exists does not matter: the capability is asked for first.
func blockDevice() string {
	text, _ := os.ReadFile("/proc/partitions")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "major" {
			return "/dev/" + f[3]
		}
	}
	return "/dev/sda"
}

func userRebootStep() bench.Step {
	return bench.Step{
		Name: "reboot", Inside: rebel, Needs: needs("ns.user", "ns.pid"),
		Reproduces: []string{"ns-user-reboot"},
		Do:         startCell,
		ByHand: bench.ByHand{
			None: "one slip in a line that calls reboot reboots the machine; the kernel is asked for something harmless that takes the same capability",
		},
		Look: []bench.View{{Title: "reboot(2) by a root of a user namespace below", Read: readReboot}},
		Expect: []evidence.Expectation{
			evidence.Becomes("to reboot is refused: EPERM, for want of CAP_SYS_BOOT in the user namespace above", "reboot(2)", evidence.Equals("EPERM")),
			evidence.Same("the pid namespace belongs to the user namespace of the lab host, which is asked", "owner of the pid namespace", "user namespace of the lab host"),
		},
	}
}

// startCell makes a pid namespace that the lab host's user namespace owns. The
// attempt itself is made in a user namespace nested below, so that its root is
// not the owner; and were it granted, it would end this namespace alone.
func startCell(ctx context.Context, b *bench.Bench) error {
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.PID, nsdemo.Mnt}, Proc: true})
	if err != nil {
		return err
	}
	return b.Keep(cell, p)
}

func readReboot(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	own, err := nsdemo.ID("/proc", os.Getpid(), nsdemo.User)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("user namespace of the lab host", "readlink /proc/self/ns/user", fmt.Sprint(own))}
	p, err := b.Inside(ctx, cell)
	if err != nil {
		return facts, err
	}
	pids, err := nsdemo.Inspect("/proc", p.Pid(), nsdemo.PID)
	if err != nil {
		return facts, err
	}
	return append(facts,
		evidence.F("owner of the pid namespace", fmt.Sprintf("ioctl(NS_GET_USERNS) /proc/%d/ns/pid", p.Pid()), ownerText(pids.OwnerNS)),
		evidence.F("reboot(2)", "reboot(2) in a user namespace below", answer(p.Reboot(ctx))),
	), nil
}

func userSwitchesStep() bench.Step {
	return bench.Step{
		Name: "switches", Inside: cell,
		Reproduces: []string{"ns-user-limit"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("cat /proc/sys/user/max_user_namespaces",
				"cat /proc/sys/kernel/unprivileged_userns_clone /proc/sys/kernel/apparmor_restrict_unprivileged_userns || true"),
			Tools: []bench.Tool{bench.Cat},
		},
		Look: []bench.View{{Title: "what can refuse user namespaces", Columns: []string{"value", "refuses", "command that lifts it"}, Read: readSwitches}},
		Expect: []evidence.Expectation{
			evidence.Is("the limit of user namespaces can be read", "user.max_user_namespaces", evidence.AtLeast(0)),
			everySwitchTold(),
		},
	}
}

func readSwitches(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, s := range nsdemo.Switches("/proc") {
		value, refuses, command := s.Value, "no", "none needed"
		if !s.Present {
			value = "not in this kernel"
		}
		if s.Refuses {
			refuses, command = "yes: "+s.Effect, s.Try
		}
		facts = append(facts, evidence.F(s.Name, s.File, value, refuses, command))
	}
	return facts, nil
}

// everySwitchTold claims that the table leaves no question open: a switch that
// refuses comes with the command, and a value of 0 for the limit refuses.
func everySwitchTold() evidence.Expectation {
	var uses []string
	for _, s := range nsdemo.Switches("/proc") {
		uses = append(uses, s.Name)
	}
	return evidence.Custom("each switch says whether it refuses, and if so with which command to lift it", uses, func(o evidence.Observed) evidence.Verdict {
		for _, name := range uses {
			refuses, command := o.After.Column(name, 1), o.After.Column(name, 2)
			told := refuses == "no" && command == "none needed" || strings.HasPrefix(refuses, "yes") && strings.Contains(command, name)
			if !told {
				return evidence.Judged(false, "an answer for every switch", name+": "+refuses+" and "+command)
			}
		}
		return evidence.Judged(true, "an answer for every switch", strconv.Itoa(len(uses))+" switches")
	})
}

const limitFile = "/proc/sys/user/max_user_namespaces"

func userLimitStep() bench.Step {
	return bench.Step{
		Name: "limit", Inside: inner, Needs: needs("ns.user.unprivileged", "ns.limits"),
		Reproduces: []string{"ns-user-limit"},
		Do:         setLimitInside,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{
					enterAsRoot(b, inner) + "sh -c 'echo 0 > " + limitFile + "'",
					"! " + enterAsRoot(b, inner) + "unshare --user true",
				}
			},
			Tools: []bench.Tool{bench.Nsenter, bench.Unshare},
		},
		Look: []bench.View{{Title: "the limit, and a try", Read: readLimit}},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, the limit is 0 now", "limit inside", evidence.Equals("0")),
			evidence.Becomes("inside, a further user namespace is refused: ENOSPC", "unshare(CLONE_NEWUSER) inside", evidence.Equals("ENOSPC")),
			evidence.Keeps("outside, the limit is what it was: each user namespace has its own", "limit outside"),
		},
	}
}

// setLimitInside writes the limit of the inner user namespace: the files in
// /proc/sys/user are those of the user namespace of whoever opens them.
func setLimitInside(ctx context.Context, b *bench.Bench) error {
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return err
	}
	err = p.WriteFile(ctx, limitFile, "0\n", 0o644)
	if errors.Is(err, unix.EROFS) {
		return &evidence.CannotTest{Reason: "/proc/sys is mounted read-only here", WayOut: "run it outside of a container"}
	}
	return err
}

func readLimit(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	out, err := os.ReadFile(limitFile)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("limit outside", limitFile, strings.TrimSpace(string(out)))}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	in, err := p.ReadFile(ctx, limitFile)
	if err != nil {
		return facts, err
	}
	facts = append(facts, evidence.F("limit inside", limitFile+", read inside", strings.TrimSpace(in)))
	try, err := tryUserNamespace(ctx, p)
	if err != nil {
		return facts, err
	}
	return append(facts, evidence.F("unshare(CLONE_NEWUSER) inside", "unshare --user true, inside", try)), nil
}

// tryUserNamespace has unshare(1) try: the system call needs a process with
// one thread, which a Go program is not.
func tryUserNamespace(ctx context.Context, p *nsdemo.Process) (string, error) {
	out, err := p.Run(ctx, "env", "LC_ALL=C", "unshare", "--user", "true")
	switch {
	case err != nil:
		return "", err
	case out.ExitCode == 0:
		return "done", nil
	case out.ExitCode == 127:
		return "", &evidence.CannotTest{Reason: "the program unshare is not installed", WayOut: "apt-get install util-linux"}
	case strings.Contains(out.Stderr, unix.ENOSPC.Error()), strings.Contains(out.Stderr, "No space left on device"):
		return "ENOSPC", nil
	}
	return strings.TrimSpace(out.Stderr), nil
}
