package labs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer/oci"
	"cutaway/nsdemo"
)

// bare has neither masked nor read-only paths, as --privileged and
// --security-opt systempaths=unconfined have it. In both containers
// root has the capabilities for what is tried, so that the covers alone decide:
// /proc/kcore wants CAP_SYS_RAWIO, the network's settings want CAP_NET_ADMIN.
func bare(s *specs.Spec) {
	withReach(s)
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
}

func withReach(s *specs.Spec) {
	withCaps(append(slices.Clone(dockerCaps()), "CAP_SYS_RAWIO", "CAP_NET_ADMIN")...)(s)
}

func reachFilter() string { return capsFilter(dockerFilter + ` + ["CAP_SYS_RAWIO","CAP_NET_ADMIN"]`) }

var tryForward = try{"write to /proc/sys/net/ipv4/ip_forward", "forward", "echo 1 > /proc/sys/net/ipv4/ip_forward"}

func pathsTrial() trial {
	return trial{
		bundles: []bundle{
			{name: "covered", change: withReach, filter: reachFilter()},
			{name: "bare", change: bare, filter: reachFilter() + " | .linux.maskedPaths=[] | .linux.readonlyPaths=[]"},
		},
		tries:      append([]try{tryForward}, maskedTries()...),
		firstLines: []string{exportDocker()},
	}
}

// maskedTries try to read something from each of the masked files of the
// runtime's example. Which of them exist depends on the kernel.
func maskedTries() []try {
	var tries []try
	for _, path := range maskedFiles() {
		tries = append(tries, try{"read " + path, filepath.Base(path), fmt.Sprintf(`n=$(head -c 100 %s | wc -c); test $n -gt 0 || { echo "%s: empty"; exit 1; }`, path, path)})
	}
	return tries
}

func maskedFiles() []string {
	var files []string
	for _, path := range oci.Example(false).Linux.MaskedPaths {
		if info, err := os.Stat(path); err == nil && !info.IsDir() && strings.HasPrefix(path, "/proc/") {
			files = append(files, path)
		}
	}
	return files
}

func securityPathsStep() bench.Step {
	t := pathsTrial()
	rows := []trialRow{mountRow("/proc/sys"), tryRow(tryForward)}
	for _, m := range maskedTries() {
		rows = append(rows, tryRow(m))
	}
	for _, path := range maskedFiles() {
		rows = append(rows, mountRow(path))
	}
	return bench.Step{
		Name: "paths", Reproduces: []string{"sec-paths"}, Inside: "covered",
		Intend: t.intend, Do: t.act, ByHand: t.byHand(),
		Look: []bench.View{
			t.view("the same /proc, covered and bare", rows...),
			t.view("in numbers", maskedRow()),
		},
		Expect: []evidence.Expectation{
			cells("in one /proc/sys is mounted once more, read-only; in the other nothing lies over it", "mounted on /proc/sys", "read-only proc", "nothing"),
			t.outcomes("a write to /proc/sys fails as on a read-only file system; without the cover it succeeds", tryForward, "Read-only file system", "allowed"),
			evidence.Custom("the files that tell about the kernel are empty in one and speak in the other", []string{"masked files that can be read"}, func(o evidence.Observed) evidence.Verdict {
				a, b := o.After.Column("masked files that can be read", 0), o.After.Column("masked files that can be read", 1)
				return evidence.Judged(strings.HasPrefix(a, "0 of ") && !strings.HasPrefix(b, "0 of ") && b != evidence.Absent, "none, and some", a+", and "+b)
			}),
		},
	}
}

// mountRow is what lies over a path of /proc.
func mountRow(path string) trialRow {
	return trialRow{"mounted on " + path, "/proc/PID/mountinfo", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		mounts, err := nsdemo.Mounts("/proc", pid)
		if err != nil {
			return "", err
		}
		m := nsdemo.MountAt(mounts, path)
		switch {
		case m == nil:
			return "nothing", nil
		case strings.HasPrefix(m.Options, "ro"):
			return "read-only " + m.FSType, nil
		}
		return m.Root + " of a " + m.FSType, nil
	}}
}

func maskedRow() trialRow {
	return trialRow{"masked files that can be read", "the rows above", func(b *bench.Bench, x bundle, _ int) (string, error) {
		n, tries := 0, maskedTries()
		for _, t := range tries {
			if x.attempted(b, t) == "allowed" {
				n++
			}
		}
		if len(tries) == 0 {
			return "", &evidence.CannotTest{Reason: "this kernel has none of the files that are usually masked", WayOut: "cutaway lab --on vm"}
		}
		return fmt.Sprintf("%d of %d", n, len(tries)), nil
	}}
}
