package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkIdleMemory is what a detached container that does nothing keeps in
// memory of the machinery around it: our shim beside containerd's. The unit is
// the proportional set size (proc_pid_smaps(5)): a page that several processes
// share counts as a fraction in each.
func BenchmarkIdleMemory(b *testing.B) {
	h := benchHost(b)
	const each = 10
	var ours, theirs []string
	for range each {
		ours = append(ours, detached(b, h.cutaway("run", "-d", "box", "sleep", "1000")))
		theirs = append(theirs, detached(b, h.docker("run", "-d", "busybox", "sleep", "1000")))
	}
	b.Cleanup(func() { output(b, h.cutaway(append([]string{"rm", "-f"}, ours...)...)) })
	own, other := memoryOf(b, ours), memoryOf(b, theirs)
	b.ReportMetric(float64(own)/each, "cutaway-KiB")
	b.ReportMetric(float64(other)/each, "docker-KiB")
	b.ReportMetric(float64(other)/float64(own), "docker/cutaway")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkManyContainers starts 200 that stay, and compares the last ten with
// the first ten: a cost that grows with the number would show.
func BenchmarkManyContainers(b *testing.B) {
	h := benchHost(b)
	var ids []string
	var times []time.Duration
	b.Cleanup(func() { output(b, h.cutaway(append([]string{"rm", "-f"}, ids...)...)) })
	for range 200 {
		began := time.Now()
		ids = append(ids, detached(b, h.cutaway("run", "-d", "box", "sleep", "1000")))
		times = append(times, time.Since(began))
	}
	median := func(some []time.Duration) float64 {
		some = slices.Sorted(slices.Values(some))
		return float64(some[len(some)/2].Microseconds()) / 1000
	}
	first, last := median(times[:10]), median(times[190:])
	b.ReportMetric(first, "first-10-ms")
	b.ReportMetric(last, "last-10-ms")
	b.ReportMetric(last/first, "last/first")
	b.ReportMetric(0, "ns/op")
}

// detached runs a command that prints the id of what it has started.
func detached(b *testing.B, command []string) string {
	b.Helper()
	return strings.TrimSpace(output(b, command))
}

func output(b *testing.B, command []string) string {
	b.Helper()
	var errs strings.Builder
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v: %s", strings.Join(command, " "), err, errs.String())
	}
	return string(out)
}

// memoryOf adds up the processes that carry the id of one of the containers in
// their command line: shims do, whoever made them.
func memoryOf(b *testing.B, ids []string) (kibibytes int) {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may have ended
		if slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(string(text), id) }) {
			size, err := proportional(filepath.Dir(file) + "/smaps_rollup")
			if err != nil {
				b.Fatal(err)
			}
			kibibytes += size
		}
	}
	return kibibytes
}

// proportional reads the line "Pss: 123 kB".
func proportional(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 && words[0] == "Pss:" {
			return strconv.Atoi(words[1])
		}
	}
	return 0, fmt.Errorf("no Pss in %s", path)
}
