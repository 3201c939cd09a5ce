package dmthin_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cutaway/dmthin"
	"cutaway/internal/vm"
)

// TestMain makes the test program PID 1 of the guest that TestInGuest boots.
func TestMain(m *testing.M) {
	vm.Main()
	os.Exit(m.Run())
}

// unmet skips a test for what this machine lacks and could have.
func unmet(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CUTAWAY_REQUIRE") == "all" {
		t.Fatalf("CUTAWAY_REQUIRE=all: "+format, args...)
	}
	t.Skipf(format, args...)
}

// inGuest is set in the guest, where nothing may be missing.
const inGuest = "CUTAWAY_DMTHIN_GUEST"

// hostHasDM asks the kernel, and does not take a node for an answer.
func hostHasDM() error {
	c, err := dmthin.Open("/dev", "/dev")
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Target("thin-pool")
	return err
}

// control opens the device mapper with a folder for nodes, and checks in the end
// that no device and no loop is left.
func control(t testing.TB) *dmthin.Control {
	t.Helper()
	if err := hostHasDM(); err != nil {
		if os.Getenv(inGuest) != "" {
			t.Fatal(err)
		}
		t.Skipf("%v; TestInGuest runs this test in a virtual machine", err)
	}
	nodes, err := os.MkdirTemp("/dev", "cutaway-test")
	must(t, err)
	c, err := dmthin.Open("/dev", nodes)
	must(t, err)
	before, loops := names(t, c), loopFiles(t)
	t.Cleanup(func() {
		if got := names(t, c); got != before {
			t.Errorf("mapped devices after the test: %q; want %q", got, before)
		}
		if got := loopFiles(t); got != loops {
			t.Errorf("loop devices after the test: %q; want %q", got, loops)
		}
		must(t, c.Close())
		must(t, os.Remove(nodes)) // all nodes are gone, too
	})
	return c
}

func names(t testing.TB, c *dmthin.Control) string {
	t.Helper()
	list, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range list {
		out = append(out, n.Name)
	}
	return strings.Join(out, " ")
}

// loopFiles lists what is attached of ours: others may come and go.
func loopFiles(t testing.TB) string {
	t.Helper()
	entries, err := os.ReadDir("/sys/block")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if info, err := dmthin.ReadLoop("/sys", e.Name()); err == nil && strings.Contains(info.File, t.Name()) {
			out = append(out, e.Name()+"="+info.File)
		}
	}
	return strings.Join(out, " ")
}

// guest boots a kernel that has it all, with a disk for the direct store.
func guest(t testing.TB) *vm.Machine {
	t.Helper()
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		unmet(t, "qemu-system-x86_64 is missing (package qemu-system-x86)")
	}
	cache, err := vm.DefaultCacheDir()
	if err != nil {
		unmet(t, "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	k, err := vm.Prepare(ctx, cache, "", nil)
	if err != nil {
		unmet(t, "no kernel to boot: %v", err)
	}
	root, err := vm.BuildInitramfs(ctx, cache, vm.InitramfsSpec{
		Kernel: k, Programs: append([]string{"thin_dump", "mkfs.xfs"}, vm.DefaultPrograms...)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Boot(ctx, vm.Config{Kernel: k, Initramfs: root, CacheDir: cache, ScratchMB: 256, Deadline: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// again runs this test program in the guest.
func again(t testing.TB, args ...string) string {
	t.Helper()
	m := guest(t)
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer // two: they are written at the same time
	code, err := m.Run(ctx, vm.Command{Args: append([]string{vm.SelfPath}, args...), Stdout: &out, Stderr: &errs,
		Env: append(vm.GuestEnv("dumb"), inGuest+"=1", "CUTAWAY_REQUIRE=all")})
	if err != nil || code != 0 {
		t.Fatalf("in the guest (Linux %s): exit %d, %v\n%s%s\nits console:\n%s", m.Release, code, err, out.String(), errs.String(), m.Console(20))
	}
	return out.String()
}

var liveOnly = flag.String("dmthin.run", "^TestLive", "which tests TestInGuest runs")

// TestInGuest runs the live tests in a virtual machine, where this kernel cannot.
func TestInGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no virtual machine")
	}
	if hostHasDM() == nil {
		t.Skip("this kernel has thin pools: the live tests run on it")
	}
	t.Log(again(t, "-test.v", "-test.run", *liveOnly))
}
