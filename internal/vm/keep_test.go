package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// spareCommand makes this binary the program that waits in guests of these tests.
const spareCommand = "__wait"

// waitInGuest says who it is and what it reads.
func waitInGuest() int {
	input, err := io.ReadAll(os.Stdin)
	fmt.Printf("pid %d read %q %v\n", os.Getpid(), input, err)
	return 3
}

// runSpare runs the command that waits, and returns what it says.
func runSpare(t *testing.T, m *Machine) string {
	t.Helper()
	var out bytes.Buffer
	code, err := m.Run(within(t, patience), Command{Args: []string{SelfPath, spareCommand}, Stdin: strings.NewReader("hello"), Stdout: &out})
	if err != nil || code != 3 {
		t.Errorf("run the spare: exit %d, %v; want 3", code, err)
	}
	return out.String()
}

// say runs a line of shell in a guest of its own and returns what it prints, trimmed.
func say(t *testing.T, m *Machine, line string) string {
	t.Helper()
	var out bytes.Buffer
	code, err := m.Run(within(t, patience), Command{Args: []string{"sh", "-c", line}, Stdout: &out})
	if err != nil || code != 0 {
		t.Fatalf("%s: exit %d, %v", line, code, err)
	}
	return strings.TrimSpace(out.String())
}

// A kept machine is the same fresh one each time, but for the time and its randomness.
func TestLiveKept(t *testing.T) {
	cfg := smallGuest(t)
	cfg.Keep, cfg.Spare, cfg.CacheDir, cfg.ScratchMB = true, spareCommand, t.TempDir(), 16
	type guest struct{ Spare, Random, Marks string }
	look := func() guest {
		m, err := Boot(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		t.Logf("the agent answers %v after power-on", m.BootTime)
		g := guest{Spare: runSpare(t, m), Random: say(t, m, "od -An -N16 -tx1 /dev/urandom"), Marks: say(t, m, "ls /root; dd if=/dev/vda bs=4 count=1 2>/dev/null | tr -d '\\0'")}
		say(t, m, "touch /root/mark; echo mark >/dev/vda")
		var now int64
		if fmt.Sscan(say(t, m, "date +%s"), &now); time.Since(time.Unix(now, 0)).Abs() > time.Hour {
			t.Errorf("the guest's clock says %v", time.Unix(now, 0))
		}
		return g
	}
	first := look()
	states, _ := filepath.Glob(filepath.Join(cfg.CacheDir, "states", "*.state"))
	if len(states) != 1 || !strings.HasSuffix(first.Spare, "read \"\\n\\nhello\" <nil>\n") {
		t.Fatalf("states %q, the spare says %q; want one, and that it read two empty lines and hello", states, first.Spare)
	}
	made, _ := os.Stat(states[0])
	second := look()
	if now, err := os.Stat(states[0]); err != nil || !now.ModTime().Equal(made.ModTime()) || made.Mode().Perm() != 0o600 {
		t.Errorf("the state is %v, %v; want the one of the first start, for its owner alone", now, err)
	}
	if first.Random == second.Random {
		t.Errorf("two guests have the same randomness: %s", first.Random)
	}
	second.Random = first.Random
	if diff := cmp.Diff(first, second); diff != "" || second.Marks != "" {
		t.Errorf("the second guest differs from the first (-), or shows what that one did (%q):\n%s", second.Marks, diff)
	}
	if err := os.Truncate(states[0], made.Size()/2); err != nil {
		t.Fatal(err)
	}
	if third := look(); third.Marks != "" {
		t.Errorf("the guest shows %q", third.Marks)
	}
	if _, err := os.Stat(states[0]); err == nil {
		t.Error("a state that cannot be read stays")
	}
}

// Where the state cannot be kept, the machine starts all the same.
func TestLiveNowhereToKeep(t *testing.T) {
	cfg := smallGuest(t)
	cfg.Keep, cfg.CacheDir = true, filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(cfg.CacheDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Boot(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

// A spare that nobody asks for ends with the first other program.
func TestLiveSpareUnused(t *testing.T) {
	cfg := smallGuest(t)
	cfg.Spare = spareCommand
	m, err := Boot(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	say(t, m, "while ps -ef | grep -q '[_]_wait'; do sleep 0.1; done")
	if got := runSpare(t, m); !strings.HasSuffix(got, "read \"hello\" <nil>\n") {
		t.Errorf("the command, run anew, says %q; want no empty lines", got)
	}
}

func TestStateKey(t *testing.T) {
	base := Config{Kernel: Kernel{boot: "/k"}, Initramfs: Initramfs{Path: "/i"}}.withDefaults()
	key := stateKey("/qemu", base)
	if key != stateKey("/qemu", base) {
		t.Error("the same machine has two names")
	}
	for name, change := range map[string]func(*Config){
		"memory": func(c *Config) { c.MemoryMB++ }, "processors": func(c *Config) { c.CPUs++ }, "scratch": func(c *Config) { c.ScratchMB++ },
		"kernel": func(c *Config) { c.Kernel.boot = "/l" }, "initramfs": func(c *Config) { c.Initramfs.Path = "/j" }, "spare": func(c *Config) { c.Spare = "x" },
	} {
		other := base
		change(&other)
		if stateKey("/qemu", other) == key {
			t.Errorf("another %s has the same name", name)
		}
	}
	if stateKey("/other", base) == key {
		t.Error("another QEMU has the same name")
	}
}

// fakeQEMU answers each command with the lines given for it.
func fakeQEMU(t *testing.T, greeting string, answers map[string]string) *os.File {
	t.Helper()
	ours, theirs, err := socketpair("monitor")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	go func() {
		defer theirs.Close()
		fmt.Fprintln(theirs, greeting)
		in := json.NewDecoder(theirs)
		for {
			var c struct{ Execute string }
			if in.Decode(&c) != nil {
				return
			}
			answer, known := answers[c.Execute]
			if !known {
				return
			}
			fmt.Fprintln(theirs, answer)
		}
	}()
	return ours
}

func TestMonitor(t *testing.T) {
	m, err := newMonitor(fakeQEMU(t, `{"QMP": {}}`, map[string]string{
		"qmp_capabilities": `{"return": {}}`,
		"query-status":     `{"event": "RESUME", "data": {}} {"return": {"status": "running"}}`,
		"query-migrate":    `{"return": {"status": "failed"}}`,
		"migrate":          `{"error": {"class": "GenericError", "desc": "no room"}}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if state, err := m.stateOf("query-status"); state != "running" || err != nil {
		t.Errorf("query-status = %q, %v; want running", state, err)
	}
	for _, c := range []struct {
		what, want string
		err        error
	}{
		{"migrate", "QEMU refuses migrate: no room", m.Do("migrate", nil, nil)},
		{"query-migrate", "query-migrate: failed", m.await(t.Context(), "query-migrate", "completed")},
		{"a command at which it ends", "EOF", m.Do("stop", nil, nil)},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", c.what, c.err, c.want)
		}
	}
	if _, err := newMonitor(fakeQEMU(t, "no QEMU at all", nil)); err == nil {
		t.Error("a greeting of another program is taken")
	}
}
