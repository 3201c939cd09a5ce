package oci

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// TestNothingStaysOpen: a shim makes one container after another, and neither a
// descriptor of them may stay with it nor a thread in their namespaces.
func TestNothingStaysOpen(t *testing.T) {
	needs.Root(t)
	root, dir := testRootfs(t), scratch(t)
	r := &Runtime{Root: dir + "/state"}
	own := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 1000}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}
	for name, change := range map[string]func(*specs.Spec){
		"visited":          func(*specs.Spec) {},
		"from the inside":  own,
		"with a terminal":  func(s *specs.Spec) { s.Process.Terminal = true },
		"without success":  func(s *specs.Spec) { s.Process.Args = []string{"/no/such/program"} },
		"without a folder": func(s *specs.Spec) { s.Process.Cwd = "/etc/file" },
	} {
		t.Run(name, func(t *testing.T) {
			bundle := writeBundle(t, dir, root, variation{script: "exec sleep 60", change: change})
			fails := strings.HasPrefix(name, "without")
			live(t, r, bundle, fails) // what is opened once and kept is open now
			before, spaces := openNow(t), mountSpaces(t)
			live(t, r, bundle, fails)
			if after := openNow(t); len(after) > len(before) {
				t.Errorf("open before: %q\nafter: %q", before, after)
			}
			// A thread that has left its function is gone a moment later.
			for limit := time.Now().Add(30 * time.Second); len(mountSpaces(t)) > len(spaces) && time.Now().Before(limit); {
				time.Sleep(time.Millisecond)
			}
			if after := mountSpaces(t); len(after) > len(spaces) {
				t.Errorf("this process's threads are in the mount namespaces %q; were in %q", after, spaces)
			}
		})
	}
}

// live is the life of a container, with a second process, as far as it gets.
func live(t *testing.T, r *Runtime, bundle string, fails bool) {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	o := Options{Bundle: bundle, Stdio: [3]*os.File{null, null, null}, Front: true}
	c, err := r.Create("cutaway-open", o)
	if (err != nil) != fails {
		t.Fatalf("Create = %v; want an error: %t", err, fails)
	}
	if fails {
		return
	}
	if c.Terminal != nil {
		master, err := c.Terminal.Master()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
	}
	if err := c.Start(); err != nil {
		t.Error(err)
	}
	p := *c.Spec.Process
	p.Args, p.Terminal = []string{"true"}, false
	started, err := c.Exec(&p, Options{Stdio: o.Stdio})
	if err != nil {
		t.Fatal(err)
	}
	unix.Wait4(started.Pid, nil, 0, nil)
	if err := c.Delete(true); err != nil {
		t.Error(err)
	}
	unix.Wait4(c.Pid, nil, 0, nil)
}

// openNow is what this process's descriptors refer to. No file that the garbage
// collector would close is counted as closed.
func openNow(t *testing.T) (all []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		all = append(all, to)
	}
	slices.Sort(all)
	return all
}

// mountSpaces are the mount namespaces of this process's threads.
func mountSpaces(t *testing.T) (all []string) {
	t.Helper()
	runtime.Gosched()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/self/task/%s/ns/mnt", task.Name())); err == nil && !slices.Contains(all, ns) {
			all = append(all, ns)
		}
	}
	return all
}

// TestNoProgramsInMemory runs a container where nothing in memory may be executed:
// vm.memfd_noexec is a setting of a pid namespace.
func TestNoProgramsInMemory(t *testing.T) {
	needs.Root(t)
	needs.File(t, "/proc/sys/vm/memfd_noexec", "Linux 6.3")
	root, dir := testRootfs(t), scratch(t)
	bundle := writeBundle(t, dir, root, variation{script: "echo fine"})
	got := outcomeOf(exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec",
		`echo 2 > /proc/sys/vm/memfd_noexec; exec "$@"`, "sh", ownPath(t), "play-runtime", "run", dir+"/state", "cutaway-memory", bundle))
	if want := (outcome{0, "fine\n", ""}); got != want {
		t.Errorf("the container came to %+v; want %+v", got, want)
	}
}

// ownPath is this test's: /proc/self/exe is another one in a shell.
func ownPath(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
