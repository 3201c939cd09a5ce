package minicontainer_test

import (
	"strings"
	"testing"

	"cutaway/minicontainer"
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
	o := box("net", "sh", "-c", "ip -4 -o addr show eth0; cat /etc/hosts /etc/resolv.conf; id; ping -c1 -w2 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')")
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
