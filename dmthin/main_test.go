package dmthin_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"cutaway/dmthin"
	"cutaway/internal/vm"
	"cutaway/internal/vm/vmtest"
)

// TestMain makes the test program PID 1 of the guest that TestInGuest boots.
func TestMain(m *testing.M) {
	vm.Main()
	os.Exit(m.Run())
}

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
		if vmtest.Inside() {
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

// again runs this test program in a guest, whose kernel has it all, with a disk for
// the direct store.
func again(t testing.TB, args ...string) string {
	t.Helper()
	return vmtest.Again(t, vmtest.Guest{Programs: []string{"thin_dump", "mkfs.xfs"}, ScratchMB: 256, Env: []string{"CUTAWAY_REQUIRE=all"}}, args...)
}

var liveOnly = flag.String("dmthin.run", "^TestLive", "which tests TestInGuest runs")

// TestInGuest runs the live tests in a virtual machine, where this kernel cannot.
func TestInGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: boots a virtual machine; make test-guest")
	}
	if hostHasDM() == nil {
		t.Skip("this kernel has thin pools: the live tests run on it")
	}
	t.Log(again(t, "-test.v", "-test.run", *liveOnly))
}
