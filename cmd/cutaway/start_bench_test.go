package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// starts is how often each program is started: one start takes milliseconds, of
// which the machine's other doings are a good part.
const starts = 200

// BenchmarkStart compares how long it takes to start: `cutaway list`, the init
// stage of a container (it ends at once, for its arguments are wrong), and a Go
// program that does nothing. The goal is a list within 4 ms of nothing.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	programs := []*started{
		{name: "list", path: copied(b, builtProgram(b), dir+"/cutaway"), args: []string{"cutaway", "list"}},
		{name: "stage", path: dir + "/cutaway", args: []string{"cutaway-init", "none"}},
		{name: "empty", path: copied(b, emptyProgram(b, dir), dir+"/empty"), args: []string{"empty"}},
	}
	for range starts {
		for _, p := range programs {
			p.start(b)
		}
	}
	for _, p := range programs {
		p.report(b)
	}
	list, stage, empty := programs[0], programs[1], programs[2]
	b.ReportMetric(milliseconds(median(list.wall)-median(empty.wall)), "list-above-empty-ms")
	b.ReportMetric(milliseconds(median(stage.wall)-median(empty.wall)), "stage-above-empty-ms")
	b.ReportMetric(0, "ns/op")
}

// started is a program and what its starts took.
type started struct {
	name, path string
	args       []string
	wall, cpu  []time.Duration
	faults     []int64
}

func (p *started) start(b *testing.B) {
	cmd := &exec.Cmd{Path: p.path, Args: p.args}
	begin := time.Now()
	cmd.Run() // the stage ends with an error
	p.wall = append(p.wall, time.Since(begin))
	if cmd.ProcessState == nil {
		b.Fatalf("%s could not be started", p.path)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	p.cpu = append(p.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	p.faults = append(p.faults, usage.Minflt)
}

func (p *started) report(b *testing.B) {
	b.ReportMetric(milliseconds(median(p.wall)), p.name+"-ms")
	b.ReportMetric(milliseconds(median(p.cpu)), p.name+"-cpu-ms")
	b.ReportMetric(float64(median(p.faults)), p.name+"-faults")
}

func median[T int64 | time.Duration](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// emptyProgram is built as ours is.
func emptyProgram(b *testing.B, dir string) string {
	source, built := filepath.Join(dir, "empty.go"), filepath.Join(dir, "empty-built")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, source).CombinedOutput(); err != nil {
		b.Fatalf("build an empty program: %v: %s", err, out)
	}
	return built
}

// copied copies a program, as installing it does. The linker writes its output
// through a mapping, which leaves it in the page cache in pages of 4 KiB; what was
// written in one go lies there in larger pieces, of which one fault maps more.
func copied(b *testing.B, from, to string) string {
	in, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err != nil {
		b.Fatal(err)
	}
	if err := out.Close(); err != nil {
		b.Fatal(err)
	}
	return to
}
