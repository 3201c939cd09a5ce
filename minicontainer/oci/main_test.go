package oci

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/internal/needs"
)

// insideEnv marks the run of the tests that is inside its own namespaces, and
// names the cgroup that its containers are made below.
const insideEnv = "CUTAWAY_OCI_TEST_INSIDE"

var group = os.Getenv(insideEnv)

// TestMain gives the tests namespaces of their own, and lets this binary play
// the two programs that it is elsewhere: the init stage and the command line.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "play-runtime" {
		os.Exit(playRuntime(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "play-overwrite" {
		playOverwrite()
		os.Exit(0)
	}
	if os.Getuid() != 0 || group != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	group = fmt.Sprintf("cutaway-oci-test-%d", os.Getpid()) // another run may be under way
	cmd.Env = append(os.Environ(), insideEnv+"="+group)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	removeGroups()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// removeGroups removes the folders above the tests' cgroups, which a runtime leaves alone.
func removeGroups() {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return
	}
	for _, path := range []string{"/" + group, group} {
		if g, err := cgroupdemo.Open(hs, cgroupConfig(path)); err == nil {
			deleteGroup(g, lateLeave)
		}
	}
	// runc makes one in the named hierarchy too, where nothing can be limited.
	named, _ := filepath.Glob("/sys/fs/cgroup/systemd/" + group + "/*")
	for _, dir := range append(named, "/sys/fs/cgroup/systemd/"+group) {
		os.Remove(dir)
	}
}

// playRuntime is run and a few other verbs of the command line, without its flags.
func playRuntime(args []string) int {
	verb, root, id, bundle := args[0], args[1], args[2], args[3]
	r := &Runtime{Root: root}
	status, err := 0, error(nil)
	switch verb {
	case "run":
		status, err = playRun(r, id, bundle)
	case "exec":
		status, err = playExec(r, id, args[4:])
	case "create":
		_, err = r.Create(id, Options{Bundle: bundle})
	case "delete", "delete-force":
		err = r.Delete(id, verb == "delete-force")
	default:
		var c *Container
		if c, err = r.Open(id); err == nil {
			err = map[string]func() error{
				"start": c.Start, "pause": c.Pause, "resume": c.Resume,
				"kill":  func() error { return c.Kill(unix.SIGKILL) },
				"state": func() error { fmt.Print(c.Status()); return nil },
			}[verb]()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func playRun(r *Runtime, id, bundle string) (int, error) {
	c, err := r.Create(id, Options{Bundle: bundle, Front: true})
	if err != nil {
		return 0, err
	}
	defer c.Delete(true)
	if err := c.Start(); err != nil {
		return 0, err
	}
	return Wait(c.Pid)
}

func playExec(r *Runtime, id string, args []string) (int, error) {
	c, err := r.Open(id)
	if err != nil {
		return 0, err
	}
	p := *c.Spec.Process
	p.Args = args
	started, err := c.Exec(&p, Options{})
	if err != nil {
		return 0, err
	}
	return Wait(started.Pid)
}

// testRootfs fills a folder with busybox and with what images have that is hard.
func testRootfs(t *testing.T) string {
	t.Helper()
	busybox := needs.Program(t, "busybox", "busybox-static")
	root := filepath.Join(scratch(t), "rootfs")
	run(t, "sh", "-ec", `
		mkdir -p "$1/bin" "$1/etc" "$1/tmp" "$1/proc" "$1/sys" "$1/dev" "$1/data/sub" "$1/private" "$1/var" "$1/home/u"
		chmod 1777 "$1/tmp"; chmod 700 "$1/private"
		cp "$2" "$1/bin/busybox"
		for a in $("$2" --list); do [ "$a" = busybox ] || ln -sf busybox "$1/bin/$a"; done
		mkdir "$1/suid"; cp "$2" "$1/suid/busybox"; chmod 4755 "$1/suid/busybox"
		echo text > "$1/etc/file"; echo not > "$1/bin/notexec"; echo sub > "$1/data/sub/file"
		printf 'root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n' > "$1/etc/passwd"
		printf 'root:x:0:\nu:x:1000:\n' > "$1/etc/group"
		ln -s /etc "$1/link"; ln -s /run/new "$1/var/run"; ln -s ../../../../../../etc "$1/up"
		printf '#!/bin/sh\necho script $1\n' > "$1/bin/script"; chmod 755 "$1/bin/script"
	`, "-", root, busybox)
	return root
}

// scratch is a folder on a tmpfs that only this mount namespace has.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o755) // runc's root of a user namespace has to walk here
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
