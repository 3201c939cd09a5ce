package minicontainer_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
)

// flood is what a container says, in lines of 1 KiB, and the reader that counts it.
type flood struct {
	megabytes int
	read      int
	wrong     string // the first piece that is no part of it
	whole     chan struct{}
}

func newFlood(megabytes int) *flood { return &flood{megabytes: megabytes, whole: make(chan struct{})} }

func (f *flood) bytes() int { return f.megabytes << 20 }

func (f *flood) command() string {
	return fmt.Sprintf("yes %s | head -c %d", strings.Repeat("flood", 204)+"foo", f.bytes())
}

func (f *flood) Write(p []byte) (int, error) {
	if f.wrong == "" && (len(p) != 1<<10 || len(bytes.Trim(p, "flood\n")) > 0) {
		f.wrong = string(p)
	}
	if f.read += len(p); f.read == f.bytes() {
		close(f.whole)
	}
	return len(p), nil
}

// peak is the most memory that a process ever had (proc_pid_status(5), VmHWM).
func peak(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	must(t, err)
	return kilobytes << 10
}

// TestLogFloodIsReadWhole: who follows gets all of it, and the shim, through
// which it goes, stays small.
func TestLogFloodIsReadWhole(t *testing.T) {
	e, f := newEngine(t), newFlood(120)
	o := box("flood", "sh", "-c", f.command()+"; sleep 1000") // so that the shim is there to be looked at
	c := detached(t, e, o)
	read := make(chan error, 1)
	go func() {
		read <- e.Logs(context.Background(), c.ID, minicontainer.LogOptions{Follow: true, Tail: -1}, f, f)
	}()
	select {
	case <-f.whole:
	case err := <-read:
		t.Fatalf("the reader ended after %d bytes: %v", f.read, err)
	}
	if size := peak(t, shimOf(t, c.ID)); size > 96<<20 {
		t.Errorf("the shim took %d MiB for a flood of %d MiB; want a bound", size>>20, f.megabytes)
	}
	must(t, e.Kill(c.ID, unix.SIGKILL))
	must(t, <-read)
	if f.read != f.bytes() || f.wrong != "" {
		t.Errorf("read %d bytes, wrong %.60q; want %d of the flood", f.read, f.wrong, f.bytes())
	}
}

// TestLogFloodIsBoundedOnDisk: with max-size and max-file the newest is kept, and
// the container goes to its end.
func TestLogFloodIsBoundedOnDisk(t *testing.T) {
	e, f := newEngine(t), newFlood(20)
	o := box("flood", "sh", "-c", f.command()+"; echo last")
	o.Host.LogConfig.Config = map[string]string{"max-size": "1m", "max-file": "3"}
	c := detached(t, e, o)
	if code, err := e.Wait(context.Background(), c.ID); err != nil || code != 0 {
		t.Errorf("the flood ended with %d, %v; want 0", code, err)
	}
	files, err := filepath.Glob(c.LogPath + "*")
	must(t, err)
	for _, file := range files {
		info, err := os.Stat(file)
		must(t, err)
		if info.Size() > 1<<20 {
			t.Errorf("%s has %d bytes; want at most 1 MiB", file, info.Size())
		}
	}
	var out bytes.Buffer
	must(t, e.Logs(context.Background(), c.ID, minicontainer.LogOptions{Tail: 1}, &out, &out))
	if len(files) != 3 || out.String() != "last\n" {
		t.Errorf("%d files, the last line is %.60q; want 3, last", len(files), out.String())
	}
}

// TestMemoryBomb: the kernel kills the container, and that is known of it.
func TestMemoryBomb(t *testing.T) {
	e := newEngine(t)
	beside := detached(t, e, box("beside", "sleep", "1000"))
	o := box("bomb", "dd", "if=/dev/zero", "of=/dev/null", "bs=512M", "count=1")
	o.Host.Memory, o.Host.MemorySwap = 32<<20, 32<<20
	c := detached(t, e, o)
	if code, err := e.Wait(context.Background(), c.ID); err != nil || code != 137 {
		t.Errorf("a memory bomb ended with %d, %v; want 137", code, err)
	}
	c, err := e.Inspect(c.ID)
	must(t, err)
	if !c.State.OOMKilled {
		t.Errorf("state = %+v; want OOMKilled", c.State)
	}
	if c, err := e.Inspect(beside.ID); err != nil || !c.State.Running {
		t.Errorf("the container beside it: %+v, %v; want that it runs", c, err)
	}
}

// TestForkBomb: it comes to its limit and no further; kill ends all of it.
func TestForkBomb(t *testing.T) {
	e := newEngine(t)
	const limit = 40
	o := box("bomb", "sh", "-c", "bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done")
	o.Host.PidsLimit = new(int64)
	*o.Host.PidsLimit = limit
	c := detached(t, e, o)
	pids := pidsFile(t, c.ID, "pids.max")
	waitFor(t, "the limit to be hit", func() bool {
		events, err := os.ReadFile(pidsFile(t, c.ID, "pids.events"))
		must(t, err)
		return !strings.Contains(string(events), "max 0")
	})
	text, err := os.ReadFile(pids)
	must(t, err)
	procs, err := os.ReadFile(pidsFile(t, c.ID, "cgroup.procs"))
	must(t, err)
	if n := bytes.Count(procs, []byte("\n")); n > limit || string(text) != fmt.Sprintln(limit) {
		t.Errorf("%d processes, limit %s; want at most %d", n, text, limit)
	}
	must(t, e.Kill(c.ID, unix.SIGKILL)) // that none survives is looked at with the rest of the residue
	for _, pid := range strings.Fields(string(procs)) {
		if group, err := os.ReadFile("/proc/" + pid + "/cgroup"); err == nil && strings.Contains(string(group), c.ID) {
			t.Errorf("process %s of the bomb runs on", pid)
		}
	}
}

// pidsFile is a file of the container's group, in either version's place.
func pidsFile(t *testing.T, id, name string) string {
	t.Helper()
	for _, tree := range []string{"/sys/fs/cgroup/pids/", "/sys/fs/cgroup/"} {
		if path := tree + group + "/" + id + "/" + name; exists(path) {
			return path
		}
	}
	t.Fatalf("no %s of container %s", name, id)
	return ""
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// writes try to open for writing whatever a container sees of the kernel's
// settings. Nothing is written: a wall that falls does no harm.
const writes = `
for f in $(find /proc/sys /proc/irq /sys -type f -perm -200 2>/dev/null) /proc/sysrq-trigger /proc/acpi/wakeup /proc/mtrr /proc/bus/pci/*/*; do
	[ -e $f ] || continue
	count=$((count + 1))
	{ true >> $f; } 2>/dev/null && echo opened $f
done
for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats /proc/timer_stats; do
	[ -s $f ] || head -c 1 $f 2>/dev/null | grep -q . && echo read $f
done
ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v : | grep . && echo listed
mount -t proc proc /tmp 2>/dev/null && echo mounted
mount -o remount,rw /proc/sys 2>/dev/null && echo remounted
echo tried $count`

// TestWritesToProcAndSys: not one setting of the host can be written, and what
// tells of the host is hidden.
func TestWritesToProcAndSys(t *testing.T) {
	e := newEngine(t)
	out, errs, code := run(t, e, box("writer", "sh", "-c", writes))
	var tried int
	if _, err := fmt.Sscanf(out, "tried %d\n", &tried); err != nil || tried < 100 || code != 0 {
		t.Errorf("code %d, %s%s; want nothing but how many were tried", code, out, errs)
	}
}
