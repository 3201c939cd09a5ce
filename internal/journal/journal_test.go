package journal

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/journal/mark"
)

func begin(t *testing.T) (*Run, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cutaway")
	run, err := Begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run, dir
}

func intend(t *testing.T, run *Run, u Undo) {
	t.Helper()
	if err := run.Intend(u); err != nil {
		t.Fatal(err)
	}
}

// markDead rewrites the journal's header as if its owner had been killed.
func markDead(t *testing.T, run *Run) {
	t.Helper()
	path := journalPath(run.dir, run.ID)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	self, _ := Self()
	dead := self
	dead.Start++
	old, new := `"start":`+itoa(self.Start), `"start":`+itoa(dead.Start)
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

func TestUndoRunsInReverseAndEndLeavesNothing(t *testing.T) {
	run, dir := begin(t)
	made := filepath.Join(filepath.Dir(dir), "made")
	intend(t, run, Undo{Kind: RemoveDir, Path: made})
	os.Mkdir(made, 0o755)
	intend(t, run, Undo{Kind: RemoveFile, Path: made + "/file"})
	os.WriteFile(made+"/file", nil, 0o600)
	if err := run.End(); err != nil {
		t.Fatalf("End() = %v; the file must go before its folder", err)
	}
	if left, _ := filepath.Glob(filepath.Dir(dir) + "/*"); len(left) > 0 {
		t.Errorf("left %v; want nothing", left)
	}
}

func TestAnIntentWithoutItsActIsNoError(t *testing.T) {
	run, _ := begin(t)
	for _, u := range []Undo{
		{Kind: RemoveDir, Path: "/nonexistent/a"}, {Kind: RemoveFile, Path: "/nonexistent/b"},
		{Kind: RemoveCgroup, Path: "/sys/fs/cgroup/cutaway-nonexistent"}, {Kind: Umount, Path: "/nonexistent/c"},
		{Kind: DeleteLink, Name: "cutaway-none"}, {Kind: DetachLoop, Path: "/dev/loop987", Backing: "/x"},
		{Kind: DetachLoop, Backing: "/x"}, {Kind: ResumeDM, Name: "cutaway-none"},
		{Kind: KillProcess, Process: Process{Pid: 1 << 21, Start: 1}}, {Kind: SweepMarked, Name: "nobody"},
	} {
		intend(t, run, u)
	}
	if err := run.End(); err != nil {
		t.Errorf("End() = %v; want nil: nothing was made", err)
	}
}

func TestPutBackToLeavesWhatWasMadeEarlier(t *testing.T) {
	run, dir := begin(t)
	first, second := filepath.Join(filepath.Dir(dir), "1"), filepath.Join(filepath.Dir(dir), "2")
	intend(t, run, Undo{Kind: RemoveDir, Path: first})
	os.Mkdir(first, 0o755)
	mark, err := run.Mark()
	if err != nil {
		t.Fatal(err)
	}
	intend(t, run, Undo{Kind: RemoveDir, Path: second})
	os.Mkdir(second, 0o755)
	if err := run.PutBackTo(mark); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); err != nil {
		t.Errorf("what was made before the mark is gone: %v", err)
	}
	if _, err := os.Stat(second); err == nil {
		t.Error("what was made after the mark is still there")
	}
	if err := run.End(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeUndoneStaysInTheJournal(t *testing.T) {
	run, dir := begin(t)
	full := filepath.Join(filepath.Dir(dir), "full")
	intend(t, run, Undo{Kind: RemoveDir, Path: full})
	os.MkdirAll(full+"/not-ours", 0o755)
	err := run.End()
	if !errors.Is(err, unix.ENOTEMPTY) || !strings.Contains(err.Error(), "ls -ld "+full) {
		t.Errorf("End() = %v; want ENOTEMPTY and the command to look at it", err)
	}
	markDead(t, run)
	os.Remove(full + "/not-ours")
	if cleaned, err := Clean(dir); err != nil || len(cleaned) != 1 || cleaned[0].Left != nil {
		t.Errorf("Clean() = %+v, %v; want the rest undone", cleaned, err)
	}
}

func TestCleanLeavesALiveRunAlone(t *testing.T) {
	run, dir := begin(t)
	defer run.End()
	cleaned, err := Clean(dir)
	if err != nil || len(cleaned) != 1 || !cleaned[0].Alive {
		t.Errorf("Clean() = %+v, %v; want the run reported as alive", cleaned, err)
	}
}

func TestCleanAfterARebootOnlyRemovesFiles(t *testing.T) {
	run, dir := begin(t)
	folder := filepath.Join(filepath.Dir(dir), "kept")
	intend(t, run, Undo{Kind: RemoveDir, Path: folder})
	os.Mkdir(folder, 0o755)
	child := sleeper(t)
	intend(t, run, Undo{Kind: KillProcess, Process: child})
	path := journalPath(dir, run.ID)
	text, _ := os.ReadFile(path)
	boot, _ := BootID()
	os.WriteFile(path, []byte(strings.Replace(string(text), boot, "another-boot", 1)), 0o600)
	if cleaned, err := Clean(dir); err != nil || cleaned[0].Left != nil {
		t.Fatalf("Clean() = %+v, %v", cleaned, err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder is still there")
	}
	if !child.Alive() {
		t.Error("a process of this boot was killed by a journal of another")
	}
}

func sleeper(t *testing.T, env ...string) Process {
	t.Helper()
	cmd := exec.Command("sleep", "100")
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	p, err := ProcessOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestKillSparesAProcessWithAnotherStartTime(t *testing.T) {
	child := sleeper(t)
	stranger := Process{Pid: child.Pid, Start: child.Start + 1}
	if err := stranger.Kill(); err != nil {
		t.Fatal(err)
	}
	if !child.Alive() {
		t.Error("a process was killed although its start time differs")
	}
	if err := child.Kill(); err != nil || child.Alive() {
		t.Errorf("Kill() = %v; alive %v", err, child.Alive())
	}
}

// A worker leads a process group. When it is gone and its children are not yet, its
// number still names the group.
func TestKillOfALeaderThatLeftItsGroupBehind(t *testing.T) {
	leader := exec.Command("sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
	leader.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := leader.Run(); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(-leader.Process.Pid, syscall.SIGKILL)
	if err := (Process{Pid: leader.Process.Pid, Start: 1}).Kill(); err != nil {
		t.Errorf("Kill of a process that is gone = %v; want nil", err)
	}
}

func TestSweepEndsMarkedProcessesOnly(t *testing.T) {
	marked, other := sleeper(t, mark.Variable+"=sweep-test"), sleeper(t)
	// The child's environment is there only once it has executed its program.
	for range 1000 {
		if len(Marked("sweep-test")) == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := (Undo{Kind: SweepMarked, Name: "sweep-test"}).Apply(); err != nil {
		t.Fatal(err)
	}
	if marked.Alive() || !other.Alive() {
		t.Errorf("marked alive %v, other alive %v; want false, true", marked.Alive(), other.Alive())
	}
}

func TestASecondLockIsRefusedByName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cutaway")
	lock, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	var busy *Busy
	if _, err := Take(dir); !errors.As(err, &busy) || busy.Holder == "" {
		t.Errorf("second Take() = %v; want Busy with the holder", err)
	}
	lock.Release()
	if again, err := Take(dir); err != nil {
		t.Errorf("Take() after Release() = %v", err)
	} else {
		again.Release()
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the run folder is still there")
	}
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0"
	for name, text := range map[string]string{"plain": "4711 (sh)" + tail, "odd command": "4711 (a) b (c)" + tail} {
		start, state, err := parseStat(text)
		if err != nil || start != 987654 || state != "S" {
			t.Errorf("%s: parseStat = %d, %q, %v; want 987654, S", name, start, state, err)
		}
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) succeeded", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"run":{"boot":"b","owner":{"pid":1,"start":2}}}` + "\n" + `{"intent":{"kind":"rmdir","path":"/x"}}` + "\n")
	f.Add(`{"intent":{"kind":"kill","process":{"pid":7,"start":9}}}` + "\n" + `{"undone":{"kind":"kill","process":{"pid":7,"start":9}}}` + "\n")
	f.Add(`{"intent":{"kind":"rmdir"`)
	f.Fuzz(func(t *testing.T, text string) {
		parse(strings.NewReader(text))
	})
}

func TestParseLeavesOutAHalfWrittenLine(t *testing.T) {
	s, err := parse(strings.NewReader(`{"intent":{"kind":"rmdir","path":"/a"}}` + "\n" + `{"intent":{"kind":"rmd`))
	if err != nil || len(s.pending) != 1 {
		t.Errorf("parse = %+v, %v; want the one whole intent", s, err)
	}
	if _, err := parse(strings.NewReader("nonsense\n")); err == nil {
		t.Error("parse of nonsense succeeded")
	}
}

func TestCleanRemovesTheLockOfAKilledRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cutaway")
	os.MkdirAll(dir, 0o755)
	os.WriteFile(lockPath(dir), []byte("4711\n"), 0o644)
	if _, err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the run folder is still there")
	}
	held, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if _, err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lockPath(dir)); err != nil {
		t.Error("a lock that is held was removed")
	}
}
