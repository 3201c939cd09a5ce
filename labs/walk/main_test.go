package walk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"

	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// The test binary is its own worker, as the program is: the worker performs
// one of the labs below.
func TestMain(m *testing.M) {
	inside.Main()
	if len(os.Args) > 1 && os.Args[1] == WorkerCommand {
		if err := Work(context.Background(), findTestLab, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func findTestLab(id string) (bench.Lab, bool) {
	all := testLabs()
	i := slices.IndexFunc(all, func(l bench.Lab) bool { return l.ID == id })
	if i < 0 {
		return bench.Lab{}, false
	}
	return all[i], true
}

// testLabs are small labs that show one behaviour of the walk each.
func testLabs() []bench.Lab {
	return []bench.Lab{
		{ID: "90", Name: "host", Steps: []bench.Step{startStep(), renameStep()}},
		{ID: "91", Name: "stuck", Steps: []bench.Step{{Name: "wait", Do: func(ctx context.Context, _ *bench.Bench) error {
			<-ctx.Done()
			return ctx.Err()
		}}}},
		{ID: "92", Name: "dies", Steps: []bench.Step{{Name: "die", Do: func(context.Context, *bench.Bench) error {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}}}},
		{ID: "93", Name: "cannot", Steps: []bench.Step{{Name: "cannot", Reproduces: []string{"x"}, Do: func(context.Context, *bench.Bench) error {
			return &evidence.CannotTest{Reason: "no such kernel", WayOut: "boot another"}
		}}}},
		{ID: "94", Name: "litter", Steps: []bench.Step{{Name: "litter", Do: func(_ context.Context, b *bench.Bench) error {
			path := os.Getenv("LITTER") + "/cutaway-litter"
			if err := b.Intend(journal.Undo{Kind: journal.RemoveFile, Path: path}); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		}}}},
		{ID: "96", Name: "vandal", Steps: []bench.Step{{Name: "write", Do: func(context.Context, *bench.Bench) error {
			err := os.WriteFile("/cutaway-vandal", nil, 0o600)
			if !errors.Is(err, syscall.EROFS) {
				os.Remove("/cutaway-vandal")
				return fmt.Errorf("write to the machine's root folder: %v; want EROFS", err)
			}
			return os.WriteFile("in-the-scratch-folder", nil, 0o600)
		}}}},
		{ID: "97", Name: "breaks", Steps: []bench.Step{
			{Name: "break", Do: func(context.Context, *bench.Bench) error { return errors.New("broken") }},
			{Name: "behind", Do: func(context.Context, *bench.Bench) error { return nil }},
		}},
		{ID: "95", Name: "needs", Needs: nil, Steps: []bench.Step{{Name: "extra", Extra: true, Do: func(context.Context, *bench.Bench) error {
			return &evidence.CannotTest{Reason: "only elsewhere"}
		}}}},
	}
}

func startStep() bench.Step {
	return bench.Step{
		Name: "start", Reproduces: []string{"ns-uts"}, Inside: "inner",
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.UTS}})
			if err != nil {
				return err
			}
			return b.Keep("inner", p)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("unshare --uts sleep 1000 & echo $! > inner.pid", "sleep 0.1"),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep},
		},
		Draw: func(context.Context, *bench.Bench) (evidence.Drawing, error) {
			return evidence.Drawing{Title: "it", From: "nothing", Lines: []string{"──"}, Plain: []string{"--"}}, nil
		},
		Look: []bench.View{{Title: "ids", Columns: []string{"inside", "host"}, Read: readUTS}},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("it has a uts namespace of its own", "uts", 0, 1),
		},
	}
}

func renameStep() bench.Step {
	return bench.Step{
		Name: "rename", Inside: "inner",
		Do: func(ctx context.Context, b *bench.Bench) error {
			h, err := b.Inside(ctx, "inner")
			if err != nil {
				return err
			}
			return h.SetHostname(ctx, "cutaway-test")
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("nsenter --target $(cat inner.pid) --uts sh -c 'echo cutaway-test > /proc/sys/kernel/hostname'"),
			Tools: []bench.Tool{bench.Nsenter},
		},
		Look: []bench.View{{Title: "hostname", Read: readHostnames}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the hostname inside is the new one", "hostname inside", evidence.Equals("cutaway-test")),
			evidence.Keeps("the host's hostname stays", "hostname outside"),
		},
	}
}

func readUTS(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	host, err := os.Readlink("/proc/self/ns/uts")
	if err != nil {
		return nil, err
	}
	in := evidence.Absent
	pid, err := b.Pid("inner")
	if err == nil {
		in, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/uts", pid))
	}
	if errors.Is(err, bench.ErrNoSubject) {
		err = nil
	}
	return []evidence.Fact{evidence.F("uts", "readlink /proc/PID/ns/uts", in, host)}, err
}

func readHostnames(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	out, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("hostname outside", "uname(2)", out)}
	h, err := b.Inside(ctx, "inner")
	if err != nil {
		return facts, err
	}
	in, err := h.Hostname(ctx)
	return append(facts, evidence.F("hostname inside", "uname(2)", in)), err
}
