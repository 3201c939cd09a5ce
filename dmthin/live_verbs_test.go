package dmthin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
)

// loop attaches a new sparse file.
func loop(t testing.TB, size int64) (*dmthin.Loop, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cutaway-file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	l, err := dmthin.AttachLoop("/dev", file, dmthin.LoopOptions{Autoclear: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, l.Detach()) })
	return l, file
}

// start makes a device that is gone after the test.
func start(t testing.TB, c *dmthin.Control, name string, table dmthin.Table) string {
	t.Helper()
	if _, err := c.Start(name, "", table, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(name); err != nil {
			t.Error(err)
		}
	})
	return c.Node(name)
}

// put writes to a device and waits until it is there (fsync).
func put(node string, offset int64, data []byte) error {
	f, err := os.OpenFile(node, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Sync(), f.Close())
}

func get(t testing.TB, node string, offset int64, n int) []byte {
	t.Helper()
	data, err := read(node, offset, n)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(node string, offset int64, n int) ([]byte, error) {
	f, err := os.Open(node)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, n)
	_, err = f.ReadAt(data, offset)
	return data, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErrno(t testing.TB, what string, err error, want unix.Errno) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v; want %s", what, err, unix.ErrnoName(want))
	}
	if len(dmthin.Explain(err)) == 0 {
		t.Errorf("Explain(%v) has no cause", err)
	}
}

// Two pieces of a file in the other order, and a hole of zeros between them.
func TestLiveTable(t *testing.T) {
	c := control(t)
	l, file := loop(t, 1<<20)
	want := dmthin.Table{
		dmthin.LineOf(0, 8, dmthin.Linear{Device: l.Path, Offset: 1024}),
		dmthin.LineOf(8, 8, dmthin.Zero{}),
		dmthin.LineOf(16, 8, dmthin.Linear{Device: l.Path, Offset: 0}),
	}
	node := start(t, c, "cutaway-table", want)
	must(t, put(node, 0, []byte("first")))
	must(t, put(node, 16*512, []byte("last")))
	must(t, put(node, 8*512, []byte("lost")))
	data, err := os.ReadFile(file)
	must(t, err)
	if !bytes.HasPrefix(data[1024*512:], []byte("first")) || !bytes.HasPrefix(data, []byte("last")) || bytes.Contains(data, []byte("lost")) {
		t.Errorf("the file below has %q at 512 KiB and %q at 0; want first and last, and no lost", data[1024*512:1024*512+5], data[:5])
	}
	got, err := c.Table("cutaway-table")
	must(t, err)
	deps, err := c.Deps("cutaway-table")
	must(t, err)
	number := deps[0].String()
	if text := strings.ReplaceAll(want.String(), l.Path, number); len(deps) != 1 || got.String() != text {
		t.Errorf("Table = %q over %v; want %q over the loop device", got, deps, text)
	}
}

func TestLiveVerbs(t *testing.T) {
	c := control(t)
	v, err := c.Version()
	if err != nil || v.Major != 4 {
		t.Errorf("Version = %v, %v; want 4.x", v, err)
	}
	linear, err := c.Target("linear")
	if err != nil || linear.Major != 1 {
		t.Errorf("Target(linear) = %v, %v; want 1.x", linear, err)
	}
	targets, err := c.Targets()
	if err != nil || !strings.Contains(fmt.Sprint(targets), fmt.Sprint(dmthin.TargetVersion{Target: "linear", Version: linear})) {
		t.Errorf("Targets = %v, %v; want linear %v in it", targets, err, linear)
	}
	_, err = c.Target("no-such")
	wantErrno(t, "Target(no-such)", err, unix.EINVAL)

	info, err := c.Create("cutaway-a", "cutaway-uuid-a")
	must(t, err)
	if info.Live || info.Name != "cutaway-a" || info.UUID != "cutaway-uuid-a" {
		t.Errorf("Create = %+v; want no table yet", info)
	}
	_, err = c.Create("cutaway-a", "")
	wantErrno(t, "Create of a name in use", err, unix.EBUSY)
	_, err = c.Create("cutaway-b", "cutaway-uuid-a")
	wantErrno(t, "Create of a UUID in use", err, unix.EBUSY)
	if info, err = c.Resume("cutaway-a"); err != nil || info.Live {
		t.Errorf("Resume without a table = %+v, %v; want no change", info, err)
	}
	wantErrno(t, "Load of no such device", c.Load("cutaway-a", dmthin.One(8, dmthin.Linear{Device: "/dev/none"}), false), unix.ENODEV)
	must(t, c.Load("cutaway-a", dmthin.One(8, dmthin.Zero{}), true))
	if info, err = c.Info("cutaway-a"); err != nil || info.Live || !info.Inactive {
		t.Errorf("Info after Load = %+v, %v; want an inactive table alone", info, err)
	}
	must(t, c.Clear("cutaway-a"))
	must(t, c.Load("cutaway-a", dmthin.One(8, dmthin.Fail{}), false))
	if info, err = c.Resume("cutaway-a"); err != nil || !info.Live || info.Inactive || info.Targets != 1 {
		t.Errorf("Resume = %+v, %v; want a live table of one line", info, err)
	}
	must(t, c.Suspend("cutaway-a"))
	if info, err = c.InfoByUUID("cutaway-uuid-a"); err != nil || !info.Suspended {
		t.Errorf("Info after Suspend = %+v, %v; want suspended", info, err)
	}
	must(t, c.Rename("cutaway-a", "cutaway-c"))
	names, err := c.List()
	if err != nil || len(names) != 1 || names[0].Name != "cutaway-c" || names[0].UUID != "cutaway-uuid-a" || names[0].Dev != info.Dev {
		t.Errorf("List = %+v, %v; want cutaway-c with its UUID", names, err)
	}
	_, err = c.Message("cutaway-c", 0, "hello")
	wantErrno(t, "Message to a target that takes none", err, unix.EINVAL)
	must(t, c.Remove("cutaway-c"))
	wantErrno(t, "Remove of no such device", c.Remove("cutaway-c"), unix.ENXIO)
}

// More than the first buffer holds: the kernel asks for a larger one.
func TestLiveManyDevices(t *testing.T) {
	c := control(t)
	const many = 120
	for i := range many {
		name := fmt.Sprintf("cutaway-%0100d", i)
		_, err := c.Create(name, "")
		must(t, err)
		t.Cleanup(func() { must(t, c.Remove(name)) })
	}
	if list, err := c.List(); err != nil || len(list) != many {
		t.Errorf("List = %d names, %v; want %d", len(list), err, many)
	}
}

func TestLiveTargets(t *testing.T) {
	c := control(t)
	l, _ := loop(t, 1<<20)
	start(t, c, "cutaway-error", dmthin.One(8, dmthin.Fail{}))
	_, err := read(c.Node("cutaway-error"), 0, 512)
	wantErrno(t, "read of error", err, unix.EIO)
	broken := start(t, c, "cutaway-flakey", dmthin.One(64, dmthin.Flakey{Linear: dmthin.Linear{Device: l.Path}, Down: 60}))
	_, err = read(broken, 0, 512)
	wantErrno(t, "read of flakey while down", err, unix.EIO)
	zero := start(t, c, "cutaway-zero", dmthin.One(8, dmthin.Zero{}))
	if got := get(t, zero, 0, 512); !bytes.Equal(got, make([]byte, 512)) {
		t.Errorf("zero reads %q", got)
	}
	if _, err := c.Target("flakey"); err != nil {
		t.Error(err)
	}
}

// The old kind of snapshot: what is overwritten in the origin moves to the COW device.
func TestLiveOldSnapshot(t *testing.T) {
	c := control(t)
	l, _ := loop(t, 1<<20)
	cow, _ := loop(t, 1<<20)
	must(t, put(l.Path, 0, []byte("before")))
	real := start(t, c, "cutaway-real", dmthin.One(1024, dmthin.Linear{Device: l.Path}))
	origin := start(t, c, "cutaway-origin", dmthin.One(1024, dmthin.SnapshotOrigin{Device: real}))
	snap := start(t, c, "cutaway-snap", dmthin.One(1024, dmthin.Snapshot{Origin: real, COW: cow.Path, ChunkSectors: 8}))
	must(t, put(origin, 0, []byte("after!")))
	if got, now := get(t, snap, 0, 6), get(t, origin, 0, 6); string(got) != "before" || string(now) != "after!" {
		t.Errorf("snapshot %q, origin %q; want before and after!", got, now)
	}
	lines, err := c.Status("cutaway-snap")
	must(t, err)
	s, err := dmthin.ParseSnapshotStatus(lines[0].Params)
	if err != nil || s.COW.Used == 0 || s.COW.Total != 2048 {
		t.Errorf("status of the snapshot %q = %+v, %v; want some of 2048 sectors used", lines, s, err)
	}
}

func TestLiveWaitEnds(t *testing.T) {
	c := control(t)
	start(t, c, "cutaway-quiet", dmthin.One(8, dmthin.Zero{}))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx, "cutaway-quiet", 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %v; want the context's end", err)
	}
}

// After a failed start there is no device and no node.
func TestLiveFailedStart(t *testing.T) {
	c := control(t)
	l, _ := loop(t, 1<<20)
	_, err := c.Start("cutaway-long", "", dmthin.One(1<<20, dmthin.Linear{Device: l.Path}), false)
	wantErrno(t, "Start beyond the end of the device below", err, unix.EINVAL)
	if _, err := os.Lstat(c.Node("cutaway-long")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the node is there: %v", err)
	}
	held := start(t, c, "cutaway-held", dmthin.One(8, dmthin.Zero{}))
	f, err := os.Open(held)
	must(t, err)
	wantErrno(t, "Remove of an open device", c.Remove("cutaway-held"), unix.EBUSY)
	must(t, f.Close())
}
