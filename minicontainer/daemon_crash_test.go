package minicontainer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/minicontainer/launch"
)

// TestHelperDaemon is a daemon to be killed; by itself it does nothing.
func TestHelperDaemon(t *testing.T) {
	e := helpersEngine(t)
	if e == nil {
		return
	}
	l, err := api.Listen(e.Settings().RunDir + "/api.sock")
	must(t, err)
	for _, err := range e.Recover() {
		fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	fmt.Println("ready")
	must(t, api.NewServer(e).Serve(context.Background(), l))
}

// mortal is a daemon that is killed again and again, and its clients' way to
// whichever lives.
type mortal struct {
	t  *testing.T
	e  *minicontainer.Engine
	mu sync.Mutex
	is *daemonLife
}

type daemonLife struct {
	cmd    *exec.Cmd
	client api.Backend
	killed chan struct{} // closed before it is
	next   chan struct{} // closed when another one answers
}

// start is called by one locked thread: the death signal follows it.
func (m *mortal) start() {
	m.t.Helper()
	cmd := helper(m.e, "TestHelperDaemon")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	must(m.t, err)
	must(m.t, cmd.Start())
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			m.t.Fatal("the daemon ended before it answered")
		}
		if lines.Text() == "ready" {
			break
		}
		m.t.Errorf("the daemon could not recover: %s", lines.Text())
	}
	client, err := api.Dial("unix://" + m.e.Settings().RunDir + "/api.sock")
	must(m.t, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.is
	m.is = &daemonLife{cmd, client, make(chan struct{}), make(chan struct{})}
	if before != nil {
		close(before.next)
	}
}

func (m *mortal) kill() {
	close(m.is.killed)
	m.is.cmd.Process.Kill()
	m.is.cmd.Wait()
	m.is.client.Close()
}

// do asks until a daemon lives long enough to answer. again says that an earlier
// one died over it, and may have done it.
func (m *mortal) do(what string, ask func(b api.Backend, again bool) error) {
	for again := false; ; again = true {
		m.mu.Lock()
		now := m.is
		m.mu.Unlock()
		err := ask(now.client, again)
		if err == nil {
			return
		}
		select {
		case <-now.killed:
			<-now.next
		default:
			m.t.Errorf("%s (asked before: %v): %v", what, again, err)
			return
		}
	}
}

// client takes containers through their lives until told to stop, and after each
// answer looks, past the daemon, whether it is so.
func (m *mortal) client(n int, stop <-chan struct{}) {
	zero := 0
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("client%d-%d", n, i)
		o := box(name, "sleep", "1000")
		if n%2 == 0 {
			o.Host.NetworkMode = "default"
		}
		m.do("create", func(b api.Backend, again bool) error {
			_, err := b.Create(o)
			if again && isConflict(err) {
				return nil // made before the death, and whole: see below
			}
			return err
		})
		m.look(name, false)
		for range 2 {
			m.do("start", func(b api.Backend, _ bool) error { _, err := b.Start(name, nil); return err })
			m.look(name, true)
			m.do("stop", func(b api.Backend, _ bool) error { return b.Stop(name, &zero) })
			m.look(name, false)
		}
		m.do("rm", func(b api.Backend, again bool) error {
			err := b.Remove(name, minicontainer.RemoveOptions{})
			if gone := (*minicontainer.NotFound)(nil); again && errors.As(err, &gone) {
				return nil
			}
			return err
		})
		if c, err := m.e.Inspect(name); err == nil {
			m.t.Errorf("%s is removed, and is %s", name, c.State.Status())
		}
	}
}

func isConflict(err error) bool {
	var c *minicontainer.Conflict
	return errors.As(err, &c)
}

func (m *mortal) look(name string, running bool) {
	c, err := m.e.Inspect(name)
	if err != nil {
		m.t.Errorf("%s is lost: %v", name, err)
		return
	}
	if c.State.Running != running || c.Path != "sleep" || c.PlainName() != name {
		m.t.Errorf("%s: %s %s %+v; want running: %v", name, c.PlainName(), c.Path, c.State, running)
	}
}

// TestDaemonKilledAtAnyMoment: clients' requests are carried out once, whenever
// the daemon dies over them; what runs goes on; no file is half written.
func TestDaemonKilledAtAnyMoment(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := &mortal{t: t, e: newEngine(t)}
	m.start()
	witness := detached(t, m.e, box("witness", "sleep", "1000"))
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for n := range 3 {
		clients.Go(func() { m.client(n, stop) })
	}
	for range rounds(5) {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		m.kill()
		wholeFiles(t, m.e)
		eachOnce(t, m.e)
		m.start()
	}
	close(stop)
	clients.Wait()
	after, err := m.e.Inspect("witness")
	must(t, err)
	if after.State.Pid != witness.State.Pid && witness.State.Pid != 0 || !after.State.Running {
		t.Errorf("the witness was %+v, and is %+v", witness.State, after.State)
	}
	all, err := m.e.List(minicontainer.ListOptions{All: true})
	if err != nil || len(all) != 1 {
		t.Errorf("%d containers, %v; want the witness alone", len(all), err)
	}
	m.kill()
}

// wholeFiles reads every state file there is.
func wholeFiles(t *testing.T, e *minicontainer.Engine) {
	t.Helper()
	for _, dir := range []string{e.Settings().Root, e.Settings().RunDir} {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || d.IsDir() || !strings.HasSuffix(path, ".json"):
				return nil // also what was removed meanwhile: shims go on
			case strings.HasPrefix(d.Name(), "."), d.Name() == "config.json":
				return nil // being written; a bundle, which its shim alone reads
			}
			text, err := os.ReadFile(path)
			if err == nil && !json.Valid(text) {
				t.Errorf("%s is half written: %.80q", path, text)
			}
			return nil
		})
	}
}

// eachOnce: a name stands for one container, a container has one shim at most.
func eachOnce(t *testing.T, e *minicontainer.Engine) {
	t.Helper()
	all, err := e.List(minicontainer.ListOptions{All: true})
	must(t, err)
	named := map[string]string{}
	for _, c := range all {
		if other, taken := named[c.Name]; taken {
			t.Errorf("%s is %s and %s", c.Name, c.ID, other)
		}
		named[c.Name] = c.ID
	}
	for _, c := range all {
		// One that came second is told so, and ends.
		if c.State.Running {
			waitFor(t, c.Name+" to have one shim at most", func() bool { return shimsOf(t, c.ID) < 2 })
		}
	}
}

func shimsOf(t *testing.T, id string) (n int) {
	t.Helper()
	lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if args := bytes.Split(text, []byte{0}); string(args[0]) == launch.ShimName && len(args) > 1 && string(args[1]) == id {
			n++
		}
	}
	return n
}
