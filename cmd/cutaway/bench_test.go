package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
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

// BenchmarkStart compares `cutaway list` with a Go program that does nothing.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", empty, source).CombinedOutput(); err != nil {
		b.Fatalf("build an empty program: %v: %s", err, out)
	}
	m := alternate(b, []string{"list", "empty"}, [][]string{{builtProgram(b), "list"}, {empty}})
	b.ReportMetric(float64((m[0]-m[1]).Microseconds())/1000, "above-empty-ms")
}

// BenchmarkCheck compares `cutaway check` with the scripts that read a
// kernel's configuration.
func BenchmarkCheck(b *testing.B) {
	names, commands := []string{"check"}, [][]string{{builtProgram(b), "check"}}
	for name, script := range map[string]string{
		"moby-check-config": "/usr/share/docker.io/contrib/check-config.sh",
		"lxc-checkconfig":   "/usr/bin/lxc-checkconfig",
	} {
		if _, err := os.Stat(script); err == nil {
			names, commands = append(names, name), append(commands, []string{"bash", script})
		} else {
			b.Logf("%s is not installed (%s)", name, script)
		}
	}
	m := alternate(b, names, commands)
	for i := range m[1:] {
		b.ReportMetric(float64(m[0])/float64(m[i+1]), "x-"+names[i+1])
	}
}

// BenchmarkNamespaceLabs is all labs on namespaces in one run.
func BenchmarkNamespaceLabs(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	runDir := filepath.Join(b.TempDir(), "cutaway")
	alternate(b, []string{"labs-01-09"}, [][]string{{builtProgram(b), "lab", "01-09", "--json", "--run-dir", runDir}})
}
