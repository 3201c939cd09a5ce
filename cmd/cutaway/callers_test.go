package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// Callers are programs that run containers by a runtime with runc's command
// line. Each is told to use this one, and what it shows must be what it shows
// with any other.

// callee is the program that the callers are given: cutaway oci. It notes with
// which words it was called.
type callee struct {
	program, calls string
}

func newCallee(t *testing.T) callee {
	t.Helper()
	dir := t.TempDir()
	c := callee{filepath.Join(dir, "runtime"), filepath.Join(dir, "calls")}
	script := fmt.Sprintf("#!/bin/sh\necho \" $* \" >> %s\nexec env %s=1 %s oci \"$@\"\n", c.calls, actAsProgram, executable())
	if err := os.WriteFile(c.program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantCalls: it was this runtime that did it.
func (c callee) wantCalls(t *testing.T, verbs ...string) {
	t.Helper()
	text, err := os.ReadFile(c.calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range verbs {
		if !strings.Contains(string(text), " "+verb+" ") {
			t.Errorf("the runtime was never called with %s", verb)
		}
	}
}

// saved is the built-in image as an archive, for whoever loads it.
func saved(t *testing.T) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "box.tar")
	newStoreSession(t).ok("save", "-o", archive, "box")
	return archive
}

// expectation is a shell line with what it must print and its exit code.
type expectation struct {
	line, stdout string
	code         int
}

func (w replayWorld) expect(t *testing.T, all []expectation) {
	t.Helper()
	for _, e := range all {
		got := w.line(t, w.dir, e.line)
		if want := e.stdout; got.stdout != want || got.code != e.code {
			t.Fatalf("$ %s\n= %d, %q; want %d, %q\n%s", e.line, got.code, got.stdout, e.code, want, got.stderr)
		}
	}
}

// polite is a program for a container that ends when it is told to.
const polite = `sh -c 'trap "exit 9" TERM; echo begun; while :; do sleep 0.1; done'`

// likeDocker are the verbs of Docker, which Podman has too; options are for run.
func likeDocker(options string) []expectation {
	return []expectation{
		{"d run --rm " + options + " box echo hello", "hello\n", 0},
		{"d run --rm " + options + " box sh -c 'exit 7'", "", 7},
		{"echo typed | d run -i --rm " + options + " box cat", "typed\n", 0},
		{"d run -d --name guest -m 64m --pids-limit 50 " + options + " box " + polite + " > id", "", 0},
		{"until d logs guest | grep -q begun; do sleep 0.1; done; d logs guest", "begun\n", 0},
		{"d exec guest echo in-there", "in-there\n", 0},
		{"d exec guest sh -c 'exit 3'", "", 3},
		{"d pause guest > id; d inspect -f '{{.State.Status}}' guest; d unpause guest > id", "paused\n", 0},
		{limitsOf("$(d inspect -f '{{.State.Pid}}' guest)"), "67108864 50\n", 0},
		{"d stop -t 60 guest > id; d inspect -f '{{.State.Status}} {{.State.ExitCode}}' guest", "exited 9\n", 0},
		{"d start guest > id; d kill guest > id; d wait guest", "137\n", 0},
		{"d rm guest > id; d ps -aq", "", 0},
	}
}

// limitsOf reads a process's limits of memory and processes in its cgroups, of
// either version.
func limitsOf(pid string) string {
	return `groups=/proc/` + pid + `/cgroup; of() { sed -n "s/^[0-9]*:$1://p" $groups; }
		if [ -n "$(of memory)" ]; then echo $(cat /sys/fs/cgroup/memory$(of memory)/memory.limit_in_bytes /sys/fs/cgroup/pids$(of pids)/pids.max)
		else echo $(cat /sys/fs/cgroup$(of '')/memory.max /sys/fs/cgroup$(of '')/pids.max); fi`
}

func TestCallersPodman(t *testing.T) {
	archive, runtime := callersNeed(t, "podman", "podman", "conmon", "conmon"), newCallee(t)
	w, name := newCallerWorld(t)
	w.program(t, fmt.Sprintf("podman --root %s/storage --runroot %s/run --tmpdir %s/tmp --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime %s",
		w.dir, w.dir, w.dir, runtime.program))
	w.must(t, "d load -i "+archive)
	// Its own default for open files is more than some machines let root have.
	options := "--network none --cgroup-parent /" + name + " --ulimit nofile=1024:1024 --ulimit nproc=4096:4096"
	w.expect(t, likeDocker(options))
	p := w.sitDown(t, append([]string{"run", "-it", "--rm"}, append(strings.Fields(options), "box", "sh")...)...)
	p.worksAtTheShell()
	p.types("exit 5\r")
	p.wantEnd(5)
	runtime.wantCalls(t, "create", "start", "exec", "kill", "delete")
}

func TestCallersDocker(t *testing.T) {
	archive, runtime := callersNeed(t, "dockerd", "docker.io", "docker", "docker-cli"), newCallee(t)
	w := newEngineWorld(t, "--add-runtime", "cutaway="+runtime.program, "--default-runtime", "cutaway")
	w.must(t, "d load -i "+archive)
	w.expect(t, likeDocker(""))
	p := w.sitDown(t, "run", "-it", "--rm", "box", "sh")
	p.worksAtTheShell()
	p.types("exit 5\r")
	p.wantEnd(5)
	runtime.wantCalls(t, "create", "start", "exec", "kill", "delete")
}

func TestCallersContainerd(t *testing.T) {
	archive, runtime := callersNeed(t, "containerd", "containerd", "ctr", "containerd"), newCallee(t)
	w, name := newCallerWorld(t)
	startContainerd(t, w)
	w.program(t, "ctr -a "+w.dir+"/sock -n "+name)
	w.must(t, "d images import --snapshotter native "+archive)
	run := "d run --snapshotter native --runtime io.containerd.runc.v2 --runc-binary " + runtime.program
	box := " docker.io/library/box:latest "
	pid := "$(d tasks ls | sed -n 's/^c *\\([0-9]*\\).*/\\1/p')"
	status := "d tasks ls | grep -o 'RUNNING\\|PAUSED\\|STOPPED'"
	w.expect(t, []expectation{
		{run + " --rm" + box + "one echo hello", "hello\n", 0},
		{run + " --rm" + box + "one sh -c 'exit 7'", "", 7},
		{run + " -d --memory-limit 67108864" + box + "c " + polite + " > log", "", 0},
		{"d tasks exec --exec-id e1 c echo in-there", "in-there\n", 0},
		{"d tasks exec --exec-id e2 c sh -c 'exit 3'", "", 3},
		{"d tasks pause c; " + status + "; d tasks resume c; " + status, "PAUSED\nRUNNING\n", 0},
		{limitsOf(pid) + " | cut -d' ' -f1", "67108864\n", 0},
		// ctr says how a task ended on standard error, and only there.
		{"d tasks kill -s SIGTERM c; until " + status + " | grep STOPPED; do sleep 0.1; done; d tasks rm c 2>&1 | grep -o 'exit code [0-9]*'", "STOPPED\nexit code 9\n", 0},
		{"d tasks start -d c > /dev/null; d tasks kill -s SIGKILL c; until " + status + " | grep STOPPED; do sleep 0.1; done; d tasks rm c 2>&1 | grep -o 'exit code [0-9]*'", "STOPPED\nexit code 137\n", 0},
		{"d containers rm c; d tasks ls -q; d containers ls -q", "", 0},
	})
	p := w.sitDown(t, append(strings.Fields(strings.TrimPrefix(run, "d ")+" --rm -t"+box), "tty", "sh")...)
	p.worksAtTheShell()
	p.types("exit 5\r")
	p.wantEnd(5)
	runtime.wantCalls(t, "create", "start", "exec", "kill", "delete")
}

// callersNeed skips where a program is missing, and gives the image's archive.
func callersNeed(t *testing.T, programs ...string) string {
	t.Helper()
	needs.Root(t)
	for i := 0; i < len(programs); i += 2 {
		needs.Program(t, programs[i], programs[i+1])
	}
	return saved(t)
}

// newCallerWorld is a place with a mount and a network namespace of its own, and
// the name of the cgroup for what is made there.
func newCallerWorld(t *testing.T) (w replayWorld, name string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cutaway-callers-")
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Base(dir)
	w = replayWorld{dir: dir}
	stop := w.hold(t, "mount -t tmpfs run /run && mount -t tmpfs shm /dev/shm && ip link set lo up")
	t.Cleanup(func() {
		stop()
		removeGroups(name)
		os.RemoveAll(dir)
	})
	return w, name
}

// removeGroups removes the cgroups of a world, which are empty by now.
func removeGroups(name string) {
	exec.Command("find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/"+name+"*", "-exec", "rmdir", "{}", "+").Run()
	// Where a controller is not mounted, callers have made mere folders.
	left, _ := filepath.Glob("/sys/fs/cgroup/*/" + name + "*")
	for _, dir := range left {
		os.RemoveAll(dir)
		os.Remove(filepath.Dir(dir)) // a mounted one is busy
	}
}

// startContainerd starts one of its own, that keeps everything below the world's
// folder, and ends it with the test.
func startContainerd(t *testing.T, w replayWorld) {
	t.Helper()
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n[ttrpc]\naddress = %q\n[debug]\naddress = %q\n",
		w.dir+"/root", w.dir+"/state", w.dir+"/sock", w.dir+"/ttrpc", w.dir+"/debug")
	if err := os.WriteFile(w.dir+"/containerd.toml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(w.dir + "/containerd.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args := append(w.enter[1:len(w.enter):len(w.enter)], "containerd", "-c", w.dir+"/containerd.toml")
	cmd := exec.Command(w.enter[0], args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if w.line(t, w.dir, "ctr -a "+w.dir+"/sock version").code == 0 {
			return
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("containerd did not come up within a minute:\n%s", text)
		}
	}
}
