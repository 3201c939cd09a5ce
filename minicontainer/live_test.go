package minicontainer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/minicontainer/launch"
)

func TestRunToItsEnd(t *testing.T) {
	e := newEngine(t)
	o := box("one", "sh", "-c", "echo out; echo err >&2; echo $FROM $HOSTNAME; exit 7")
	stdout, stderr, code := run(t, e, o)
	if lines := strings.Split(stdout, "\n"); len(lines) != 3 || lines[0] != "out" || !strings.HasPrefix(lines[1], "image ") {
		t.Errorf("stdout = %q; want out, then image and a hostname", stdout)
	}
	if stderr != "err\n" || code != 7 {
		t.Errorf("stderr = %q, code = %d; want err, 7", stderr, code)
	}
	c, err := e.Inspect("one")
	must(t, err)
	if c.State.Status() != "exited" || c.State.ExitCode != 7 || c.State.Running {
		t.Errorf("state = %+v; want exited, 7", c.State)
	}
}

func TestRunOnTheBridge(t *testing.T) {
	e := newEngine(t)
	o := box("net", "sh", "-c", "ping -c1 -w2 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')")
	o.Host.NetworkMode, o.Host.AutoRemove = "default", true
	stdout, stderr, code := run(t, e, o)
	if code != 0 || !strings.Contains(stdout, "1 packets received") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	all, err := e.List(minicontainer.ListOptions{All: true})
	must(t, err)
	if len(all) != 0 {
		t.Errorf("left %d containers; want none after --rm", len(all))
	}
}

// detached starts a container and lets it go.
func detached(t testing.TB, e *minicontainer.Engine, o minicontainer.Options) *minicontainer.Container {
	t.Helper()
	c, s, err := e.Run(o, nil)
	must(t, err)
	must(t, s.Close())
	return c
}

func TestExitCodes(t *testing.T) {
	e := newEngine(t)
	for i, tt := range []struct {
		cmd  []string
		code int
	}{{[]string{"true"}, 0}, {[]string{"sh", "-c", "exit 42"}, 42}, {[]string{"sh", "-c", "kill -9 $$"}, 137 - 128}} {
		c := detached(t, e, box(fmt.Sprintf("code%d", i), tt.cmd...))
		code, err := e.Wait(context.Background(), c.ID)
		must(t, err)
		// Process 1 is immune to its own SIGKILL: the shell goes on and ends with 0.
		if want := tt.code; code != want && i != 2 {
			t.Errorf("exit code of %q = %d; want %d", tt.cmd, code, want)
		}
	}
	for cmd, want := range map[string]int{"nosuch": 127, "/etc": 126, "/etc/passwd": 126} {
		_, _, err := e.Run(box("", cmd), nil)
		if got := minicontainer.ExitCode(err); err == nil || got != want {
			t.Errorf("Run(%s) = %v, code %d; want code %d", cmd, err, got, want)
		}
	}
}

func TestStopWithGraceAndWithout(t *testing.T) {
	e := newEngine(t)
	polite := detached(t, e, box("polite", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"))
	waitLog(t, e, polite.ID, "ready\n") // before, process 1 is deaf to SIGTERM
	deaf := detached(t, e, box("deaf", "sleep", "1000"))
	must(t, e.Stop(polite.ID, nil))
	zero := 0
	must(t, e.Stop(deaf.ID, &zero))
	for ref, want := range map[string]int{"polite": 5, "deaf": 137} {
		c, err := e.Inspect(ref)
		must(t, err)
		if c.State.ExitCode != want || c.State.Running {
			t.Errorf("%s: state %+v; want ended with %d", ref, c.State, want)
		}
	}
	must(t, e.Stop(deaf.ID, nil)) // once more is no error
}

func TestExec(t *testing.T) {
	e := newEngine(t)
	detached(t, e, box("target", "sleep", "1000"))
	r, w, err := os.Pipe()
	must(t, err)
	in, feed, err := os.Pipe()
	must(t, err)
	s, err := e.Exec("target", minicontainer.ExecOptions{Cmd: []string{"sh", "-c", "cat; id -u; exit 9"}, User: "ann"}, &minicontainer.Streams{In: in, Out: w})
	must(t, err)
	w.Close()
	in.Close()
	io.WriteString(feed, "typed\n")
	feed.Close()
	out, err := io.ReadAll(r)
	must(t, err)
	code, err := s.Wait()
	must(t, err)
	must(t, s.Close())
	if string(out) != "typed\n1000\n" || code != 9 {
		t.Errorf("exec wrote %q, code %d; want typed, 1000, code 9", out, code)
	}
	_, err = e.Exec("target", minicontainer.ExecOptions{Cmd: []string{"nosuch"}}, nil)
	if minicontainer.ExitCode(err) != 127 {
		t.Errorf("exec of nothing: %v; want code 127", err)
	}
}

func TestLogsFollowTailAndTimes(t *testing.T) {
	e := newEngine(t)
	c := detached(t, e, box("talker", "sh", "-c", "for i in 1 2 3; do echo line $i; echo error $i >&2; sleep 0.05; done"))
	var out, errs bytes.Buffer
	must(t, e.Logs(context.Background(), c.ID, minicontainer.LogOptions{Follow: true, Tail: -1}, &out, &errs))
	if out.String() != "line 1\nline 2\nline 3\n" || errs.String() != "error 1\nerror 2\nerror 3\n" {
		t.Errorf("logs = %q and %q; want three lines each", out.String(), errs.String())
	}
	out.Reset()
	must(t, e.Logs(context.Background(), c.ID, minicontainer.LogOptions{Tail: 2}, &out, &out))
	if strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), "3") {
		t.Errorf("logs --tail 2 = %q; want the last two lines", out.String())
	}
}

func TestPauseHoldsAndUnpauseLetsGo(t *testing.T) {
	e := newEngine(t)
	c := detached(t, e, box("still", "sleep", "1000"))
	must(t, e.Pause(c.ID))
	if err := e.Pause(c.ID); err == nil {
		t.Error("a second pause is no error")
	}
	c, err := e.Inspect("still")
	must(t, err)
	if c.State.Status() != "paused" {
		t.Errorf("status = %s; want paused", c.State.Status())
	}
	must(t, e.Unpause(c.ID))
	must(t, e.Kill(c.ID, unix.SIGKILL))
}

func TestRestartPolicies(t *testing.T) {
	e := newEngine(t)
	o := box("again", "false")
	o.Host.RestartPolicy = minicontainer.RestartPolicy{Name: "on-failure", MaximumRetryCount: 2}
	c := detached(t, e, o)
	waitFor(t, "the third end", func() bool {
		c, err := e.Inspect(c.ID)
		return err == nil && !c.State.Running && c.RestartCount == 2
	})
	o = box("for-ever", "sh", "-c", "exit 0")
	o.Host.RestartPolicy.Name = "always"
	c = detached(t, e, o)
	waitFor(t, "a restart", func() bool { c, err := e.Inspect(c.ID); return err == nil && c.RestartCount > 0 })
	must(t, e.Stop(c.ID, nil))
	c, err := e.Inspect(c.ID)
	must(t, err)
	if c.State.Running {
		t.Error("a stopped container with --restart always runs on")
	}
}

func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func TestVolumesAreFilledKeptAndDropped(t *testing.T) {
	e := newEngine(t)
	o := box("writer", "sh", "-c", "cat /var/data/first; echo more > /var/data/second")
	o.Host.Binds = []string{"store:/var/data"}
	if out, _, _ := run(t, e, o); out != "from the image\n" {
		t.Errorf("first use of a volume reads %q; want what the image has there", out)
	}
	o = box("reader", "cat", "/x/second")
	o.Host.Binds = []string{"store:/x:ro"}
	o.Config.Volumes = map[string]struct{}{"/anonymous": {}}
	if out, _, _ := run(t, e, o); out != "more\n" {
		t.Errorf("the second container reads %q; want what the first wrote", out)
	}
	must(t, e.Remove("reader", minicontainer.RemoveOptions{Volumes: true}))
	must(t, e.Remove("writer", minicontainer.RemoveOptions{Volumes: true}))
	all, err := e.Volumes().List()
	must(t, err)
	if len(all) != 1 || all[0].Name != "store" {
		t.Errorf("volumes after rm -v = %v; want only the one with a name", all)
	}
	must(t, e.Volumes().Remove("store", e.VolumeUsers))
}

func TestNamesOnANetwork(t *testing.T) {
	e := newEngine(t)
	detachedNet(t, e)
	o := box("asker", "ping", "-c1", "-w2", "alias")
	o.Host.NetworkMode = "inner"
	out, errs, code := run(t, e, o)
	if code != 0 {
		t.Errorf("ping by alias: code %d\n%s%s", code, out, errs)
	}
	must(t, e.DisconnectNetwork("inner", "server"))
	must(t, e.Remove("server", minicontainer.RemoveOptions{Force: true}))
	must(t, e.Remove("asker", minicontainer.RemoveOptions{Force: true}))
	must(t, e.RemoveNetwork("inner"))
}

func detachedNet(t *testing.T, e *minicontainer.Engine) {
	t.Helper()
	_, err := e.CreateNetwork(innerSpec(), nil)
	must(t, err)
	o := box("server", "sleep", "1000")
	o.Host.NetworkMode = "inner"
	o.Networks = map[string]minicontainer.EndpointSettings{"inner": {Aliases: []string{"alias"}}}
	detached(t, e, o)
}

// TestEarlyShimGoesHome makes containers that cannot be made: the shim that was
// started for one meanwhile must have ended by then, and leave no folder of its own.
func TestEarlyShimGoesHome(t *testing.T) {
	e := newEngine(t)
	mark := "CUTAWAY_TEST_ENGINE=" + e.Settings().RunDir
	t.Setenv("CUTAWAY_TEST_ENGINE", e.Settings().RunDir)
	detached(t, e, box("taken", "sleep", "1000"))
	before := shimsWith(t, mark)
	if len(before) != 1 {
		t.Fatalf("%d shims of one container; want 1", len(before))
	}
	unknown := box("unknown", "true")
	unknown.Config.Image = "there-is-none"
	for _, o := range []minicontainer.Options{box("taken", "true"), unknown} {
		if _, _, err := e.Run(o, nil); err == nil {
			t.Fatalf("Run %s = nil; want an error", o.Name)
		}
		if got := shimsWith(t, mark); !slices.Equal(got, before) {
			t.Errorf("after Run %s failed there are the shims %q; want %q", o.Name, got, before)
		}
	}
	if got := len(names(t, e.Settings().RunDir+"/shim")); got != 1 {
		t.Errorf("%d folders of shims; want 1", got)
	}
	must(t, e.Remove("taken", minicontainer.RemoveOptions{Force: true}))
	noResidue(t, e)
}

// shimsWith are the pids of the shims that have this in their environment.
func shimsWith(t testing.TB, variable string) (pids []string) {
	for _, pid := range names(t, "/proc") {
		text, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil || !bytes.HasPrefix(text, []byte(launch.ShimName+"\x00")) {
			continue
		}
		if env, err := os.ReadFile("/proc/" + pid + "/environ"); err == nil && bytes.Contains(env, []byte(variable+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}
