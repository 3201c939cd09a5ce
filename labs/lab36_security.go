package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// securityLab is lab 36: what keeps a root in a container from being the root
// of the machine. Each step runs the same image with one part of config.json
// changed; the rest of the steps stands in the lab36_*.go files.
func securityLab() bench.Lab {
	return bench.Lab{ID: "36", Name: "security", Needs: needs("ns.mnt", "ns.pid", "mount.pivot-root", "seccomp"), Steps: []bench.Step{
		securityTreeStep(),
		securityCapsStep(),
		securitySeccompStep(),
		securityUserStep(),
		securityRemapStep(),
		securityPathsStep(),
		securityLimitsStep(),
		securityLandlockStep(),
	}}
}

func securityTreeStep() bench.Step {
	return bench.Step{
		Name: "tree",
		Do: func(_ context.Context, b *bench.Bench) error {
			return errors.Join(makeRootfs(b), writeBase(b), makeSetuid(b))
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string { return slices.Concat(rootfsLines, baseLines(b), setuidLines) },
			Tools: append(slices.Concat(rootfsTools, bundleTools), bench.Tool{Program: "chmod", Package: "coreutils"}),
		},
		Look: []bench.View{{Title: "what the containers will share", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
			return []evidence.Fact{fileFact(b, "rootfs/bin/busybox"), fileFact(b, "rootfs/bin/su"), fileFact(b, "base.json")}, nil
		}}},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is a root file system with one static program", "rootfs/bin/busybox", evidence.Matches("^-rwx")),
			evidence.Becomes("a copy of it is setuid root, as su is everywhere", "rootfs/bin/su", evidence.Matches("^u")),
			evidence.Becomes("there is a config.json to begin with", "base.json", evidence.Present()),
		},
	}
}

// dockerCaps are the capabilities that docker run leaves to a container's root.
func dockerCaps() []string {
	return strings.Fields("CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP " +
		"CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE CAP_SETFCAP")
}

// withCaps gives a process the capabilities as Docker does: the ambient and the
// inheritable set stay empty.
func withCaps(caps ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	}
}

// capsFilter is withCaps for jq. caps is an expression that gives the names.
func capsFilter(caps string) string {
	return "(" + caps + ") as $c | .process.capabilities={bounding:$c,effective:$c,permitted:$c}"
}

// withAllCaps gives what this process may give at most.
func withAllCaps(s *specs.Spec) {
	status, err := nsdemo.ReadStatus("/proc", os.Getpid())
	if err == nil {
		withCaps(nsdemo.CapabilityNames(status.CapBnd)...)(s)
	}
}

// exportDocker puts the names into the variable DOCKER, and dockerFilter splits
// them again.
func exportDocker() string { return "export DOCKER='" + strings.Join(dockerCaps(), " ") + "'" }

const dockerFilter = `env.DOCKER/" "`

// exportAll puts the names of all capabilities that there are to give into the
// variable ALL, and allCapsFilter gives them.
const exportAll = "export ALL=$(capsh --print | sed -n 's/^Bounding set =//p')"

func allCapsFilter() string { return capsFilter(`env.ALL/"," | map(ascii_upcase)`) }

var (
	tryChroot = try{"chroot", "chroot", "chroot / true"}
	tryLink   = try{"ip link set lo down", "link", "ip link set lo down"}
	tryMount  = try{"mount a tmpfs", "mount", "mount -t tmpfs none /host"}
)

func capsTrial() trial {
	return trial{
		bundles: []bundle{
			{name: "default", change: withCaps(dockerCaps()...), filter: capsFilter(dockerFilter)},
			{name: "drop", change: withCaps(slices.DeleteFunc(slices.Clone(dockerCaps()), func(c string) bool { return c == "CAP_SYS_CHROOT" })...),
				filter: capsFilter(dockerFilter + ` - ["CAP_SYS_CHROOT"]`)},
			{name: "add", change: withCaps(append(slices.Clone(dockerCaps()), "CAP_NET_ADMIN")...), filter: capsFilter(dockerFilter + ` + ["CAP_NET_ADMIN"]`)},
			{name: "privileged", change: withAllCaps, filter: allCapsFilter()},
		},
		tries: []try{tryChroot, tryLink, tryMount},
		firstLines: []string{
			exportDocker(),
			exportAll,
		},
		tools: []bench.Tool{{Program: "capsh", Package: "libcap2-bin"}, {Program: "sed", Package: "sed"}},
	}
}

func securityCapsStep() bench.Step {
	return bench.Step{
		Name: "capabilities", Reproduces: []string{"sec-caps"}, Inside: "default", Needs: needs("caps"),
		Intend: capsTrial().intend, Do: capsTrial().act, ByHand: capsTrial().byHand(),
		Look: []bench.View{
			{Title: "the five sets of the process in the container default, by name", Read: readFiveSets},
			capsTrial().view("the same sets in all four", setRow("CapPrm"), setRow("CapEff"), setRow("CapBnd"), setRow("CapInh"), setRow("CapAmb")),
			capsTrial().view("what each may do", tryRow(tryChroot), tryRow(tryLink), tryRow(tryMount)),
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the default leaves root 14 capabilities, chroot among them", "permitted", evidence.Contains("sys_chroot")),
			cells("--cap-drop SYS_CHROOT takes one away", "CapEff", "14", "14 without sys_chroot", "14 and net_admin", "all"),
			cells("in the bounding set too, so that no program can get it back", "CapBnd", "14", "14 without sys_chroot", "14 and net_admin", "all"),
			cells("the ambient set is empty in all of them: who becomes an ordinary user keeps nothing", "CapAmb", "none", "none", "none", "none"),
			capsTrial().outcomes("chroot needs CAP_SYS_CHROOT: only where it was dropped it is refused", tryChroot, "allowed", "Operation not permitted", "allowed", "allowed"),
			capsTrial().outcomes("to set a network device down needs CAP_NET_ADMIN: only who was given it may", tryLink, "Operation not permitted", "Operation not permitted", "allowed", "allowed"),
			capsTrial().outcomes("to mount needs CAP_SYS_ADMIN, which --privileged alone gives here", tryMount, "refused", "refused", "refused", "allowed"),
		},
	}
}

// readFiveSets names the capabilities in each set of /proc/PID/status.
func readFiveSets(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("default")
	if err != nil {
		return nil, err
	}
	s, err := nsdemo.ReadStatus("/proc", pid)
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, set := range []struct {
		name, line string
		mask       uint64
	}{{"permitted", "CapPrm", s.CapPrm}, {"effective", "CapEff", s.CapEff}, {"bounding", "CapBnd", s.CapBnd}, {"inheritable", "CapInh", s.CapInh}, {"ambient", "CapAmb", s.CapAmb}} {
		facts = append(facts, evidence.F(set.name, fmt.Sprintf("%s in /proc/%d/status, capsh --decode", set.line, pid), orNone(shortNames(set.mask))))
	}
	return facts, nil
}

// shortNames are the names without CAP_, as they are written with --cap-add.
func shortNames(mask uint64) []string {
	var names []string
	for _, name := range nsdemo.CapabilityNames(mask) {
		names = append(names, strings.ToLower(strings.TrimPrefix(strings.ToUpper(name), "CAP_")))
	}
	return names
}

// setRow tells of a set how it differs from Docker's default.
func setRow(field string) trialRow {
	return trialRow{field, field + " in /proc/PID/status", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		s, err := nsdemo.ReadStatus("/proc", pid)
		if err != nil {
			return "", err
		}
		all, err := nsdemo.ReadStatus("/proc", os.Getpid())
		mask := map[string]uint64{"CapPrm": s.CapPrm, "CapEff": s.CapEff, "CapBnd": s.CapBnd, "CapInh": s.CapInh, "CapAmb": s.CapAmb}[field]
		return describeSet(mask, all.CapBnd), err
	}}
}

func describeSet(mask, all uint64) string {
	switch mask {
	case 0:
		return "none"
	case all:
		return "all"
	}
	text := fmt.Sprint(len(dockerCaps()))
	var docker []string
	for _, c := range dockerCaps() {
		docker = append(docker, strings.ToLower(strings.TrimPrefix(c, "CAP_")))
	}
	have := shortNames(mask)
	for _, c := range docker {
		if !slices.Contains(have, c) {
			text += " without " + c
		}
	}
	for _, c := range have {
		if !slices.Contains(docker, c) {
			text += " and " + c
		}
	}
	return text
}
