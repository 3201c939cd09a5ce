package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cutaway/internal/needs"
)

// The benchmarks measure side by side: ours and the peer's in turn, in one run,
// so that what else the machine does weighs on both. They report medians and
// their ratio. `make bench` runs them on the built program.

// rounds is how often each side runs.
const rounds = 25

// alternate runs each program in turn and reports the medians.
func alternate(b *testing.B, names []string, commands [][]string) []time.Duration {
	b.Helper()
	times := make([][]time.Duration, len(commands))
	for range rounds {
		for i, c := range commands {
			start := time.Now()
			exec.Command(c[0], c[1:]...).Run()
			times[i] = append(times[i], time.Since(start))
		}
	}
	medians := make([]time.Duration, len(commands))
	for i := range times {
		slices.Sort(times[i])
		medians[i] = times[i][rounds/2]
		b.ReportMetric(float64(medians[i].Microseconds())/1000, names[i]+"-ms")
	}
	b.ReportMetric(0, "ns/op")
	return medians
}

// succeed runs each command once: one that fails at once would win.
func succeed(b *testing.B, commands [][]string) {
	b.Helper()
	for _, c := range commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%q: %v: %s", c, err, out)
		}
	}
}

// builtProgram is the built binary: the test binary is larger and starts slower.
func builtProgram(b *testing.B) string {
	b.Helper()
	path, err := filepath.Abs("../../bin/cutaway")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		b.Fatalf("the benchmarks measure bin/cutaway; build it first with `make build`: %v", err)
	}
	return path
}

// BenchmarkCheck compares `cutaway check` with the scripts that read a kernel's
// configuration. PEERS is a folder of unpacked packages (scripts/bench.sh): what
// is only a script needs no installing.
func BenchmarkCheck(b *testing.B) {
	names, commands := []string{"check"}, [][]string{{builtProgram(b), "check"}}
	for _, peer := range [][2]string{
		{"moby-check-config", "/usr/share/docker.io/contrib/check-config.sh"},
		{"lxc-checkconfig", "/usr/bin/lxc-checkconfig"},
	} {
		name, script := peer[0], peer[1]
		if _, err := os.Stat(script); err != nil {
			script = os.Getenv("PEERS") + script
		}
		// A script that finds no configuration gives up at once, and would win.
		if out, err := exec.Command(script).CombinedOutput(); bytes.Count(out, []byte("enabled")) < 20 {
			b.Logf("%s is left out: %v: %.200s", name, err, out)
			continue
		}
		names, commands = append(names, name), append(commands, []string{script})
	}
	m := alternate(b, names, commands)
	for i := range m[1:] {
		b.ReportMetric(float64(m[0])/float64(m[i+1]), "check/"+names[i+1])
	}
}

// BenchmarkNamespaceLabs is all labs on namespaces in one run. The goal is 2 s.
func BenchmarkNamespaceLabs(b *testing.B) {
	needs.Root(b)
	runDir := filepath.Join(b.TempDir(), "cutaway")
	alternate(b, []string{"labs-01-09"}, [][]string{{builtProgram(b), "lab", "01-09", "--json", "--run-dir", runDir}})
}
