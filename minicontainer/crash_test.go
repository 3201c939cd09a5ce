package minicontainer_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/minicontainer/launch"
)

// rounds is a small number, or what CUTAWAY_STRESS says.
func rounds(few int) int {
	if n, err := strconv.Atoi(os.Getenv("CUTAWAY_STRESS")); err == nil {
		return n
	}
	return few
}

// shimOf finds the process that holds a container's shim: by its command line.
func shimOf(t testing.TB, id string) int {
	t.Helper()
	lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if bytes.HasPrefix(text, []byte(launch.ShimName+"\x00"+id+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(list)))
			return pid
		}
	}
	return 0
}

func TestKilledShimIsNoticedAndCleared(t *testing.T) {
	e := newEngine(t)
	o := box("orphan", "sleep", "1000")
	o.Host.NetworkMode = "default"
	o.Host.PortBindings = map[string][]minicontainer.PortBinding{"80/tcp": {{HostPort: "8099"}}}
	c := detached(t, e, o)
	must(t, unix.Kill(shimOf(t, c.ID), unix.SIGKILL))
	waitFor(t, "the shim's lock to go", func() bool { return !e.ShimAlive(c.ID) })
	c, err := e.Inspect(c.ID)
	must(t, err)
	if c.State.Running || c.State.ExitCode != 137 {
		t.Errorf("state after the shim's death = %+v; want ended with 137", c.State)
	}
	s, err := e.Start(c.ID, nil) // and it can be started again, port and name and all
	must(t, err)
	must(t, s.Close())
	must(t, e.Remove(c.ID, minicontainer.RemoveOptions{Force: true}))
}

func TestKilledShimOfRmLeavesNothing(t *testing.T) {
	e := newEngine(t)
	o := box("gone", "sleep", "1000")
	o.Host.AutoRemove = true
	c := detached(t, e, o)
	must(t, unix.Kill(shimOf(t, c.ID), unix.SIGKILL))
	waitFor(t, "the shim's lock to go", func() bool { return !e.ShimAlive(c.ID) })
	if all, err := e.List(minicontainer.ListOptions{All: true}); err != nil || len(all) != 0 {
		t.Errorf("List = %v, %v; want nothing", all, err)
	}
}

// A shim that is killed at any moment of a container's life leaves a container
// that can be seen, and removed without residue.
func TestShimKilledAtAnyMoment(t *testing.T) {
	e := newEngine(t)
	for i := range rounds(8) {
		name := fmt.Sprintf("victim%d", i)
		o := box(name, "sh", "-c", "echo begun; sleep 0.02")
		o.Host.NetworkMode = "default"
		c, err := e.Create(o)
		must(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if s, err := e.Start(c.ID, nil); err == nil && s != nil {
				s.Wait()
				s.Close()
			}
		}()
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		if pid := shimOf(t, c.ID); pid != 0 {
			unix.Kill(pid, unix.SIGKILL)
		}
		<-done
		waitFor(t, "the shim to be gone", func() bool { return !e.ShimAlive(c.ID) })
		if _, err := e.Inspect(name); err != nil {
			t.Errorf("round %d: lost: %v", i, err)
			continue
		}
		must(t, e.Remove(name, minicontainer.RemoveOptions{Force: true}))
	}
}

// A maker that dies at any moment leaves a whole container, or nothing.
func TestMakerKilledAtAnyMoment(t *testing.T) {
	e := newEngine(t)
	for i := range rounds(8) {
		cmd := helper(e, "TestHelperCreate", "CUTAWAY_MINI_NAME="+fmt.Sprintf("half%d", i))
		must(t, cmd.Start())
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	must(t, e.Sweep())
	all, err := e.List(minicontainer.ListOptions{All: true})
	must(t, err)
	for _, c := range all {
		if c.ID == "" || c.Path != "true" {
			t.Errorf("half a container: %+v", c)
		}
	}
}

// TestHelperCreate is the maker; by itself it does nothing.
func TestHelperCreate(t *testing.T) {
	e := helpersEngine(t)
	if e == nil {
		return
	}
	for i := range 100 {
		_, err := e.Create(box(fmt.Sprintf("%s-%d", os.Getenv("CUTAWAY_MINI_NAME"), i), "true"))
		must(t, err)
	}
}

func TestRebootIsRecognised(t *testing.T) {
	e := newEngine(t)
	c := detached(t, e, box("before", "sleep", "1000"))
	pid := shimOf(t, c.ID)
	c, err := e.Change(c.ID, func(c *minicontainer.Container) error { c.State.BootID = "another-boot"; return nil })
	must(t, err)
	rootfs := c.State.Rootfs
	// The container of "another boot" still runs here, so end it by hand first.
	must(t, unix.Kill(pid, unix.SIGKILL))
	waitFor(t, "the shim to be gone", func() bool { return !e.ShimAlive(c.ID) })
	must(t, e.Runtime.Delete(c.ID, true))
	must(t, unix.Unmount(rootfs, 0))
	c, err = e.Inspect(c.ID)
	must(t, err)
	if c.State.Running || c.State.Pid != 0 {
		t.Errorf("state after a reboot = %+v; want not running", c.State)
	}
}

func TestManyAtOnce(t *testing.T) {
	e := newEngine(t)
	n := rounds(10)
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			o := box(fmt.Sprintf("many%d", i), "sh", "-c", fmt.Sprintf("exit %d", i%100))
			o.Host.NetworkMode = "default"
			c, s, err := e.Run(o, nil)
			if err != nil {
				t.Errorf("container %d: %v", i, err)
				return
			}
			s.Close()
			if code, err := e.Wait(context.Background(), c.ID); err != nil || code != i%100 {
				t.Errorf("container %d: code %d, %v; want %d", i, code, err, i%100)
			}
		}()
	}
	all.Wait()
}

func TestShortOnesInARow(t *testing.T) {
	e := newEngine(t)
	for range rounds(10) {
		o := box("", "true")
		o.Host.NetworkMode, o.Host.AutoRemove = "default", true
		if _, errs, code := run(t, e, o); code != 0 {
			t.Fatalf("code %d: %s", code, errs)
		}
	}
}
