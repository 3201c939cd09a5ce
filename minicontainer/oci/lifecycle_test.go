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

	"cutaway/cgroupdemo"
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

// sleeping makes a container that runs until the test is over.
func sleeping(t *testing.T, id string, change func(*specs.Spec)) *Container {
	t.Helper()
	needs.Root(t)
	dir := scratch(t)
	bundle := writeBundle(t, dir, testRootfs(t), variation{script: "sleep 1000", change: func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/" + group + "/" + id
		if change != nil {
			change(s)
		}
	}})
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r := &Runtime{Root: dir + "/state"}
	c, err := r.Create(id, Options{Bundle: bundle, Stdio: [3]*os.File{null, null, null}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(true); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestExecBelow executes in cgroups that were made below the container's.
func TestExecBelow(t *testing.T) {
	c := sleeping(t, "cutaway-below", nil)
	g, err := c.openGroups()
	if err != nil {
		t.Fatal(err)
	}
	memory, err := g.Place(cgroupdemo.Memory)
	if err != nil {
		t.Fatal(err)
	}
	name := memory.Controller.NameIn(memory.Version)
	if err := os.Mkdir(memory.Dir+"/inner", 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(memory.Dir + "/inner")
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	p := *c.Spec.Process
	p.Args = []string{"/bin/cat", "/proc/self/cgroup"}
	for paths, want := range map[string]string{"/": "", name + ":inner": "/inner", "..": "is not a sub cgroup path",
		"whaaat:/": "unknown controller whaaat", "missing": "no such file or directory"} {
		started, err := c.Exec(&p, Options{Cgroups: []string{paths}, Stdio: [3]*os.File{out, out, out}})
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("exec in %q = %v; want %q", paths, err, want)
			}
			continue
		}
		Wait(started.Pid)
		text, err := os.ReadFile(out.Name())
		if err != nil || out.Truncate(0) != nil {
			t.Fatal(err)
		}
		if _, err := out.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		if in := strings.Count(string(text), "/inner\n"); in != strings.Count(want, "/inner") {
			t.Errorf("exec in %q is in\n%s", paths, text)
		}
	}
}

// TestUpdateBelowALimit sets a shorter period in a group whose parent is limited:
// with the present quota that would be more than the parent has.
func TestUpdateBelowALimit(t *testing.T) {
	period, quota := uint64(100000), int64(40000)
	var g *cgroupdemo.Group
	t.Cleanup(func() {
		for _, p := range g.Places {
			os.Remove(filepath.Dir(p.Dir)) // the pod's
		}
	})
	c := sleeping(t, "cutaway-update", func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/" + group + "/pod/cutaway-update"
		s.Linux.Resources.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	})
	var err error
	if g, err = c.openGroups(); err != nil {
		t.Fatal(err)
	}
	cpu, err := g.Place(cgroupdemo.CPU)
	if err != nil {
		t.Fatal(err)
	}
	if cpu.Version != cgroupdemo.V1 {
		t.Skip("version 2 has quota and period in one file, and checks neither against the parent's")
	}
	if err := os.WriteFile(filepath.Dir(cpu.Dir)+"/cpu.cfs_quota_us", []byte("50000"), 0); err != nil {
		t.Fatal(err)
	}
	period, quota = 10000, 60000
	if err := c.Update(specs.LinuxResources{CPU: &specs.LinuxCPU{Period: &period, Quota: &quota}}); err == nil {
		t.Error("six times what the parent has = nil; want an error")
	}
	period, quota = 10000, 3000
	if err := c.Update(specs.LinuxResources{CPU: &specs.LinuxCPU{Period: &period, Quota: &quota}}); err != nil {
		t.Error(err)
	}
	for file, want := range map[string]string{"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "3000"} {
		if text, err := os.ReadFile(cpu.Dir + "/" + file); strings.TrimSpace(string(text)) != want {
			t.Errorf("%s = %s, %v; want %s", file, text, err, want)
		}
	}
}

// TestAdoptedGroup makes containers in groups that are there already.
func TestAdoptedGroup(t *testing.T) {
	first := sleeping(t, "cutaway-first", nil)
	var warnings []string
	r := &Runtime{Root: first.rt.Root, Warn: func(err error) { warnings = append(warnings, err.Error()) }}
	create := func() error {
		_, err := r.Create("cutaway-second", Options{Bundle: first.Bundle})
		return err
	}
	if err := create(); err != nil || !strings.Contains(strings.Join(warnings, ""), "container's cgroup is not empty: 1 process") {
		t.Errorf("create in the group of another container = %v with warnings %q", err, warnings)
	}
	if err := first.Pause(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create("cutaway-third", Options{Bundle: first.Bundle}); err == nil || !strings.Contains(err.Error(), "unexpectedly frozen") {
		t.Errorf("create in a frozen group = %v; want an error at once", err)
	}
	if err := first.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete("cutaway-second", true); err != nil {
		t.Error(err)
	}
	if got := first.Status(); got != Running {
		t.Errorf("the first container is %s after the second one's removal; want running", got)
	}
}
