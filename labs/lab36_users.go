package labs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// makeSetuid makes a copy of busybox that whoever runs it becomes root by. It
// has to be a copy: a link has no mode of its own.
func makeSetuid(b *bench.Bench) error {
	if err := copyFile(b.Path("rootfs/bin/su"), b.Path("rootfs/bin/busybox")); err != nil {
		return err
	}
	return os.Chmod(b.Path("rootfs/bin/su"), 0o755|fs.ModeSetuid)
}

var setuidLines = []string{"cp rootfs/bin/busybox rootfs/bin/su", "chmod 4755 rootfs/bin/su"}

// asUser runs the process as uid 1000. The process has Docker's capabilities to
// give, so that what a setuid program gets is decided by no_new_privs alone.
func asUser(noNewPrivs bool) func(*specs.Spec) {
	return func(s *specs.Spec) {
		withCaps(dockerCaps()...)(s)
		s.Process.User = specs.User{UID: 1000, GID: 1000}
		s.Process.NoNewPrivileges = noNewPrivs
	}
}

func asUserFilter(noNewPrivs bool) string {
	return capsFilter(dockerFilter) +
		fmt.Sprintf(" | .process.user={uid:1000,gid:1000} | .process.noNewPrivileges=%v", noNewPrivs)
}

var (
	trySu = try{"su", "su", `test "$(/bin/su -c 'id -u')" = 0`}

	userTrial = trial{
		bundles: []bundle{
			{name: "user", change: asUser(false), filter: asUserFilter(false)},
			{name: "user-nnp", change: asUser(true), filter: asUserFilter(true)},
		},
		tries: []try{trySu}, firstLines: []string{exportDocker()},
	}
)

func securityUserStep() bench.Step {
	t := userTrial
	return bench.Step{
		Name: "user", Reproduces: []string{"sec-nonroot"}, Inside: "user",
		Intend: onlyRoot(t.intend, "to be uid 1000 in a container"), Do: t.act, ByHand: t.byHand(),
		Look: []bench.View{t.view("the two processes",
			insideUIDRow(), statusRow("ids on the host", "Uid"), setRow("CapEff"), setRow("CapBnd"),
			statusRow("no new privileges", "NoNewPrivs"), tryRow(trySu))},
		Expect: []evidence.Expectation{
			cells("in the container the process is uid 1000", "uid inside", "1000", "1000"),
			cells("on the host as well: without a user namespace a number means the same on both sides", "ids on the host", "1000 1000 1000 1000", "1000 1000 1000 1000"),
			cells("who is not root has no capabilities in effect, whatever the file gives", "CapEff", "none", "none"),
			t.outcomes("a setuid program makes a root of the user, with no_new_privs it does not", trySu, "allowed", "refused"),
		},
	}
}

// onlyRoot says what an ordinary user cannot try, in Go or by hand: to be others
// than oneself.
func onlyRoot(intend func(*bench.Bench) ([]journal.Undo, error), what string) func(*bench.Bench) ([]journal.Undo, error) {
	return func(b *bench.Bench) ([]journal.Undo, error) {
		if b.Where == "userns" {
			return nil, &evidence.CannotTest{Reason: what + " takes ids that an ordinary user has not got", WayOut: "run it as root"}
		}
		return intend(b)
	}
}

// insideUIDRow translates the process's uid into its own user namespace.
func insideUIDRow() trialRow {
	return trialRow{"uid inside", "Uid in /proc/PID/status, through /proc/PID/uid_map", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		s, err := nsdemo.ReadStatus("/proc", pid)
		if err != nil {
			return "", err
		}
		m, err := nsdemo.ReadMapping("/proc", pid)
		if err != nil {
			return "", err
		}
		for _, line := range m.UID {
			if n := s.UID[1] - line.Outside; n >= 0 && n < line.Count {
				return fmt.Sprint(line.Inside + n), nil
			}
		}
		return "not mapped", nil
	}}
}

// onHostTree gives the container a folder of the host's, as -v /:/host does; the
// folder is a throwaway tree beside the bundle.
func onHostTree(s *specs.Spec) {
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/host", Type: "bind", Source: "../host", Options: []string{"rbind", "rw"}})
}

const (
	remapBase = 100000
	remapSize = 65536
)

// remap makes uid 0 of the container an ordinary uid of the host
// (dockerd --userns-remap, user_namespaces(7)).
func remap(s *specs.Spec) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: remapBase, Size: remapSize}}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
}

func remapFilter() string {
	return fmt.Sprintf(`[{containerID:0,hostID:%d,size:%d}] as $m | .linux.namespaces+=[{type:"user"}] | .linux.uidMappings=$m | .linux.gidMappings=$m`, remapBase, remapSize)
}

const hostFilter = `.mounts+=[{destination:"/host",type:"bind",source:"../host",options:["rbind","rw"]}]`

var tryHost = try{"change a host file", "change", "echo $(hostname) was here >> /host/etc/motd"}

func remapTrial() trial {
	return trial{
		bundles: []bundle{
			{name: "remapped", change: func(s *specs.Spec) { withAllCaps(s); remap(s); onHostTree(s) }, filter: allCapsFilter() + " | " + remapFilter() + " | " + hostFilter},
			{name: "unmapped", change: func(s *specs.Spec) { withAllCaps(s); onHostTree(s) }, filter: allCapsFilter() + " | " + hostFilter},
		},
		tries: []try{tryHost},
		first: func(b *bench.Bench) error {
			if err := os.MkdirAll(b.Path("host/etc"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(b.Path("host/etc/motd"), []byte("welcome\n"), 0o644)
		},
		firstLines: []string{"mkdir -p host/etc", "echo welcome > host/etc/motd", exportAll},
		tools:      capsTrial().tools,
	}
}

func securityRemapStep() bench.Step {
	t := remapTrial()
	return bench.Step{
		Name: "remap", Reproduces: []string{"sec-userns"}, Inside: "remapped", Needs: needs("ns.user"),
		Intend: onlyRoot(t.intend, "to map ids from 100000 on"), Do: t.act, ByHand: t.byHand(),
		Look: []bench.View{
			t.view("root in both", insideUIDRow(), statusRow("ids on the host", "Uid"), mapRow(), setRow("CapEff"), tryRow(tryHost)),
			{Title: "the throwaway host", Read: readMotd},
		},
		Expect: []evidence.Expectation{
			cells("both are root in their container", "uid inside", "0", "0"),
			cells("on the host only one of them is: the other is an ordinary uid", "ids on the host", "100000 100000 100000 100000", "0 0 0 0"),
			cells("both have all capabilities, but each in its own user namespace", "CapEff", "all", "all"),
			t.outcomes("the host's file belongs to a root who is a stranger to the remapped one: refused", tryHost, "Permission denied", "allowed"),
			evidence.Becomes("without remapping, the container has changed a file of the host", "last line of host/etc/motd", evidence.Equals("unmapped was here")),
			evidence.Custom("the remapped one has not", []string{"host/etc/motd"}, func(o evidence.Observed) evidence.Verdict {
				v := o.After.Value("host/etc/motd")
				return evidence.Judged(v == "welcome / unmapped was here", "no line by remapped", v)
			}),
		},
	}
}

func mapRow() trialRow {
	return trialRow{"uid map", "/proc/PID/uid_map", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
		return strings.Join(strings.Fields(string(text)), " "), err
	}}
}

func readMotd(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	text, err := os.ReadFile(b.Path("host/etc/motd"))
	if errors.Is(err, fs.ErrNotExist) {
		return []evidence.Fact{noEntry("host/etc/motd", "cat host/etc/motd")}, nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return []evidence.Fact{
		evidence.F("host/etc/motd", "cat host/etc/motd", strings.Join(lines, " / ")),
		evidence.F("last line of host/etc/motd", "tail -n 1 host/etc/motd", lines[len(lines)-1]),
	}, err
}
