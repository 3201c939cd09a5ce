package oci

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// sequences are verbs in an order, for a container that sleeps. "wait" waits
// until it has stopped.
var sequences = []string{
	"state",
	"create state delete-force state",
	"create create delete-force",
	"create start state kill wait state delete state",
	"create kill wait state delete",
	"create delete state",
	"create start delete kill wait delete",
	"create start start kill wait start delete",
	"create start pause state resume state kill wait delete",
	"create start pause pause delete-force",
	"create start resume delete-force",
	"create start kill wait kill pause resume delete",
	"create start pause kill wait state delete",
	"create pause state resume start kill wait delete",
	"create start delete-force delete-force state",
	"start kill delete pause",
}

// runcVerbs are the same verbs on runc's command line.
func runcVerb(verb, root, bundle string) []string {
	args := map[string][]string{
		"create": {"create", "-b", bundle}, "delete-force": {"delete", "--force"}, "kill": {"kill"},
	}[verb]
	if args == nil {
		args = []string{verb}
	}
	args = append([]string{"--root", root}, append(args, "cutaway-life")...)
	if verb == "kill" {
		args = append(args, "KILL")
	}
	return args
}

// TestLifecycle sends both runtimes through the same verbs and compares what
// succeeds, and each state.
func TestLifecycle(t *testing.T) {
	needs.Root(t)
	runc := needs.Program(t, "runc", "runc")
	root, dir := testRootfs(t), scratch(t)
	bundle := writeBundle(t, dir, root, variation{script: "exec sleep 60"})
	for _, sequence := range sequences {
		t.Run(strings.ReplaceAll(sequence, " ", ","), func(t *testing.T) {
			want := perform(sequence, func(verb string) *exec.Cmd {
				return exec.Command(runc, runcVerb(verb, dir+"/runc", bundle)...)
			})
			got := perform(sequence, func(verb string) *exec.Cmd {
				return exec.Command("/proc/self/exe", "play-runtime", verb, dir+"/cutaway", "cutaway-life", bundle)
			})
			if got != want {
				t.Errorf("cutaway: %s\nrunc:    %s", got, want)
			}
		})
	}
}

// perform gives the verbs with what came of each.
func perform(sequence string, command func(string) *exec.Cmd) string {
	var out []string
	for _, verb := range append(strings.Fields(sequence), "delete-force") {
		if verb == "wait" {
			waitStopped(command)
			continue
		}
		null, _ := os.OpenFile("/dev/null", os.O_RDWR, 0)
		cmd := command(verb)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
		word := "ok"
		if verb == "state" {
			cmd.Stdout = nil
			text, err := cmd.Output()
			if word = statusOf(text); err != nil {
				word = "error"
			}
		} else if cmd.Run() != nil {
			word = "error"
		}
		null.Close()
		out = append(out, verb+"="+word)
	}
	return strings.Join(out, " ")
}

func waitStopped(command func(string) *exec.Cmd) {
	for range 100 {
		text, _ := command("state").Output()
		if statusOf(text) == "stopped" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// statusOf takes the word out of runc's JSON; ours is the word alone.
func statusOf(text []byte) string {
	var s struct{ Status string }
	if json.Unmarshal(text, &s) == nil {
		return s.Status
	}
	return string(text)
}

// TestStaleState changes what a state file remembers: a process of another
// boot, or another process with the same number, is never taken for ours.
func TestStaleState(t *testing.T) {
	needs.Root(t)
	root, dir := testRootfs(t), scratch(t)
	bundle := writeBundle(t, dir, root, variation{script: "exec sleep 60"})
	r := &Runtime{Root: dir + "/state"}
	for name, change := range map[string]func(*State){
		"boot":       func(s *State) { s.BootID = "another" },
		"start time": func(s *State) { s.StartTime++ },
		"pid":        func(s *State) { s.Pid = os.Getpid() },
	} {
		t.Run(name, func(t *testing.T) {
			// With pipes as its standard files this would wait for the container's end.
			if err := exec.Command("/proc/self/exe", "play-runtime", "create", r.Root, "cutaway-stale", bundle).Run(); err != nil {
				t.Fatal(err)
			}
			c, err := r.Open("cutaway-stale")
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Kill(c.Pid, unix.SIGKILL)
			change(&c.State)
			if got := c.Status(); got != Stopped {
				t.Errorf("Status() = %s; want %s", got, Stopped)
			}
			if err := c.Kill(unix.SIGTERM); err == nil {
				t.Error("Kill of a stale container succeeded")
			}
			if err := c.Delete(false); err != nil {
				t.Errorf("Delete() = %v; its process is in the cgroup and ends with it", err)
			}
		})
	}
}

// TestCreateLeavesNothing lets create fail late and looks for residue.
func TestCreateLeavesNothing(t *testing.T) {
	needs.Root(t)
	root, dir := testRootfs(t), scratch(t)
	bundle := writeBundle(t, dir, root, variation{change: func(s *specs.Spec) { s.Process.Args = []string{"/no/such/program"} }})
	r := &Runtime{Root: dir + "/state"}
	if _, err := r.Create("cutaway-fails", Options{Bundle: bundle}); err == nil {
		t.Fatal("Create of a missing program succeeded")
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/*/" + group + "/eq")
	state, _ := os.ReadDir(r.Root)
	if len(left)+len(state) > 0 {
		t.Errorf("left cgroups %v and state %v", left, state)
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("wait4(-1) = %v; want no child left", err)
	}
}

// TestExec starts a second process and compares what both see.
func TestExec(t *testing.T) {
	needs.Root(t)
	root, dir := testRootfs(t), scratch(t)
	for _, user := range []bool{false, true} {
		t.Run(fmt.Sprintf("user namespace %t", user), func(t *testing.T) {
			bundle := writeBundle(t, dir, root, variation{script: "exec sleep 60", change: func(s *specs.Spec) {
				if user {
					s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
					s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 1000}}
					s.Linux.GIDMappings = s.Linux.UIDMappings
				}
			}})
			testExec(t, &Runtime{Root: dir + "/state"}, bundle)
		})
	}
}

func testExec(t *testing.T, r *Runtime, bundle string) {
	null, _ := os.OpenFile("/dev/null", os.O_RDWR, 0)
	defer null.Close()
	c, err := r.Create("cutaway-exec", Options{Bundle: bundle, Stdio: [3]*os.File{null, null, null}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Delete(true)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	p := *c.Spec.Process
	p.Args = []string{"/bin/sh", "-c", "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; readlink /proc/1/ns/$n; done | uniq -c | grep -vc ' 2 '; cat /proc/self/cgroup | grep -vc ':/$'; exit 9"}
	started, err := c.Exec(&p, Options{Stdio: [3]*os.File{null, out, out}})
	if err != nil {
		t.Fatal(err)
	}
	status, _ := Wait(started.Pid)
	text, _ := os.ReadFile(out.Name())
	// Only the named hierarchy has no controller, so nobody is moved in it.
	if status != 9 || !strings.HasPrefix(string(text), "0\n") {
		t.Errorf("exec exited %d and printed %q; want 9 and no namespace that differs", status, text)
	}
}
