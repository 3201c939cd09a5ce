package minicontainer_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/minicontainer"
	_ "cutaway/minicontainer/shim" // this program is the shims too
	"cutaway/netdemo"
	"cutaway/unionfs/image"
)

// insideEnv marks the run of the tests that is inside its own namespaces, and
// names the cgroup that its containers are made below.
const insideEnv = "CUTAWAY_MINI_TEST_INSIDE"

var group = os.Getenv(insideEnv)

// TestMain gives the tests namespaces of their own: what plays the host's
// network and mounts is gone with them. This binary is also the shim and the
// init stage.
func TestMain(m *testing.M) {
	netdemo.Main()
	if os.Getuid() != 0 || group != "" {
		if os.Getuid() == 0 {
			exec.Command("ip", "link", "set", "lo", "up").Run()
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	group = fmt.Sprintf("cutaway-mini-test-%d", os.Getpid()) // another run may be under way
	cmd.Env = append(os.Environ(), insideEnv+"="+group)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	removeGroup()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

func removeGroup() {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + group)
	for _, dir := range append(dirs, "/sys/fs/cgroup/"+group) {
		os.Remove(dir)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newEngine opens an engine on a root of its own, with an image "box:latest"
// that is busybox, and checks at the end that removing all containers leaves
// nothing of them.
func newEngine(t testing.TB) *minicontainer.Engine {
	t.Helper()
	needs.Root(t)
	root, err := os.MkdirTemp("/dev/shm", "cutaway-mini")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	return newEngineIn(t, root)
}

func newEngineIn(t testing.TB, root string) *minicontainer.Engine {
	t.Helper()
	e, err := minicontainer.Open(minicontainer.Settings{Root: root + "/root", RunDir: root + "/run", CgroupParent: group})
	must(t, err)
	addBusybox(t, e)
	t.Cleanup(func() {
		noResidue(t, e)
		e.Close()
	})
	return e
}

// helperEnv tells a test that it is a process of its own, to be killed, and where
// the state is that it works on.
const helperEnv = "CUTAWAY_MINI_HELPER"

// helper is the command of such a process on the state of e.
func helper(e *minicontainer.Engine, test string, env ...string) *exec.Cmd {
	s := e.Settings()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+test+"$")
	cmd.Env = append(append(os.Environ(), helperEnv+"="+s.Root+" "+s.RunDir), env...)
	return cmd
}

// helpersEngine is a helper's engine; nil says that the test runs as one of all
// tests, and does nothing.
func helpersEngine(t *testing.T) *minicontainer.Engine {
	t.Helper()
	root, run, ok := strings.Cut(os.Getenv(helperEnv), " ")
	if !ok {
		return nil
	}
	e, err := minicontainer.Open(minicontainer.Settings{Root: root, RunDir: run, CgroupParent: group})
	must(t, err)
	return e
}

func addBusybox(t testing.TB, e *minicontainer.Engine) {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		needs.Missing(t, "busybox (package busybox-static)")
	}
	files := []image.File{{Name: "bin/busybox", Mode: 0o755, Data: busybox}}
	out, err := exec.Command("/bin/busybox", "--list").Output()
	must(t, err)
	for _, applet := range strings.Fields(string(out)) {
		if applet != "busybox" {
			files = append(files, image.File{Name: "bin/" + applet, HardLink: true, Mode: 0o755, Link: "bin/busybox"})
		}
	}
	for _, dir := range []string{"tmp", "root", "var/data"} {
		files = append(files, image.File{Name: dir, Mode: os.ModeDir | 0o755})
	}
	files = append(files,
		image.File{Name: "var/data/first", Mode: 0o644, Data: []byte("from the image\n")},
		image.File{Name: "etc/passwd", Mode: 0o644, Data: []byte("root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home:/bin/sh\n")},
		image.File{Name: "etc/group", Mode: 0o644, Data: []byte("root:x:0:\nann:x:1000:\nstaff:x:50:ann\n")})
	b := e.Images.NewBuilder(nil, time.Unix(0, 0))
	b.AddFiles("ADD busybox", files)
	b.Empty(`CMD ["sh"]`, func(c *image.Config) { c.Cmd = []string{"sh"}; c.Env = []string{"FROM=image"} })
	img, err := b.Commit()
	must(t, err)
	ref, err := image.ParseReference("box")
	must(t, err)
	must(t, e.Images.Tag(ref, img.ImageID))
}

// noResidue removes all containers and looks for what is left of them.
func noResidue(t testing.TB, e *minicontainer.Engine) {
	t.Helper()
	all, err := e.List(minicontainer.ListOptions{All: true})
	must(t, err)
	for _, c := range all {
		must(t, e.Remove(c.ID, minicontainer.RemoveOptions{Force: true, Volumes: true}))
	}
	must(t, e.Sweep())
	// The next command opens the store, and with it takes half-made layers away.
	next, err := minicontainer.Open(e.Settings())
	must(t, err)
	must(t, next.Close())
	for _, dir := range []string{"containers", "names", "overlay2", "volumes"} {
		for _, name := range names(t, filepath.Join(e.Settings().Root, dir)) {
			if dir == "overlay2" && (name == "l" || isImageLayer(t, e, name)) {
				continue
			}
			t.Errorf("left in %s: %s", dir, name)
		}
	}
	for _, dir := range []string{"oci", "shim", "net/sandboxes", "net/endpoints/bridge", "net/ports"} {
		for _, name := range names(t, filepath.Join(e.Settings().RunDir, dir)) {
			if name != ".lock" {
				t.Errorf("left in run/%s: %s", dir, name)
			}
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	if strings.Contains(string(mounts), e.Settings().Root) {
		t.Errorf("left mounted below %s:\n%s", e.Settings().Root, mounts)
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/*/" + group + "/*-*")
	if more, _ := filepath.Glob("/sys/fs/cgroup/*/" + group + "/????????????????????????????????????????????????????????????????"); len(left)+len(more) > 0 {
		t.Errorf("left cgroups: %v", more)
	}
	links, _ := exec.Command("ip", "-o", "link", "show", "type", "veth").Output()
	if len(links) > 0 {
		t.Errorf("left links:\n%s", links)
	}
}

func isImageLayer(t testing.TB, e *minicontainer.Engine, name string) bool {
	layers, err := e.Images.Layers()
	must(t, err)
	for _, l := range layers {
		if l.CacheID == name {
			return true
		}
	}
	return false
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func innerSpec() netdemo.NetworkSpec { return netdemo.NetworkSpec{Name: "inner", Proxy: true} }

// box are options for a container of the test image.
func box(name string, cmd ...string) minicontainer.Options {
	o := minicontainer.Options{Name: name}
	o.Config.Image, o.Config.Cmd = "box", cmd
	o.Host.NetworkMode = "none"
	return o
}

// run runs a container to its end and gives its output.
func run(t testing.TB, e *minicontainer.Engine, o minicontainer.Options) (stdout, stderr string, code int) {
	t.Helper()
	var outs [2]*os.File
	var texts [2]chan string
	for i := range outs {
		r, w, err := os.Pipe()
		must(t, err)
		outs[i], texts[i] = w, make(chan string, 1)
		go func() {
			var b bytes.Buffer
			io.Copy(&b, r)
			r.Close()
			texts[i] <- b.String()
		}()
	}
	_, s, err := e.Run(o, &minicontainer.Streams{Out: outs[0], Err: outs[1]})
	outs[0].Close()
	outs[1].Close()
	must(t, err)
	code, err = s.Wait()
	must(t, err)
	must(t, s.Close())
	return <-texts[0], <-texts[1], code
}
