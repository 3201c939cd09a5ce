package vm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const patience = 30 * time.Second

// sh runs a line of shell in the shared guest and returns its output, trimmed.
func sh(t *testing.T, line string) string {
	t.Helper()
	m := sharedGuest(t) // first: the time that a boot takes is not the command's
	var out, errs bytes.Buffer
	code, err := m.Run(within(t, patience), Command{Args: []string{"sh", "-c", line}, Stdout: &out, Stderr: &errs})
	if err != nil || code != 0 {
		t.Fatalf("%s: exit %d, %v, stderr %q", line, code, err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

func TestLiveRun(t *testing.T) {
	m := sharedGuest(t)
	for _, c := range []struct {
		name, line, stdin, stdout, stderr string
		exit                              int
	}{
		{"output", "echo out; echo err >&2", "", "out\n", "err\n", 0},
		{"exit code", "exit 7", "", "", "", 7},
		{"signal", "kill -TERM $$", "", "", "", 143},
		{"stdin", "tr a-z A-Z", "hello", "HELLO", "", 0},
		{"not reading stdin", "true", strings.Repeat("x", 1<<20), "", "", 0},
		{"background child keeps the pipe", "sleep 100 & echo done", "", "done\n", "", 0},
		{"all of what was written", "dd if=/dev/zero bs=65536 count=1 2>/dev/null | tr '\\0' x; sleep 100 &", "", strings.Repeat("x", 65536), "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			exit, err := m.Run(within(t, patience), Command{Args: []string{"sh", "-c", c.line},
				Stdin: strings.NewReader(c.stdin), Stdout: &out, Stderr: &errs})
			if err != nil || exit != c.exit || out.String() != c.stdout || errs.String() != c.stderr {
				t.Errorf("%s = exit %d, %v, %d bytes %.40q, %q; want exit %d, %d bytes %.40q, %q", c.line,
					exit, err, out.Len(), out.String(), errs.String(), c.exit, len(c.stdout), c.stdout, c.stderr)
			}
		})
	}
}

func TestLiveNotFound(t *testing.T) {
	m := sharedGuest(t)
	code, err := m.Run(within(t, patience), Command{Args: []string{"no-such-program"}})
	if code != -1 || err == nil || !strings.Contains(err.Error(), "no-such-program: not found") {
		t.Errorf("Run = %d, %v; want -1 and an error that names the program", code, err)
	}
}

func TestLiveOtherUser(t *testing.T) {
	var out bytes.Buffer
	m := sharedGuest(t)
	_, err := m.Run(within(t, patience), Command{Args: []string{"id"}, UID: 1000, GID: 1000, Stdout: &out})
	if err != nil || !strings.HasPrefix(out.String(), "uid=1000(learner) gid=1000(learner)") {
		t.Errorf("id = %q, %v; want learner", out.String(), err)
	}
}

// The walker in the guest speaks JSON lines with its master outside: each line must
// travel at once, not when a buffer is full.
func TestLiveConversation(t *testing.T) {
	toGuest, ourOut := io.Pipe()
	ourIn, fromGuest := io.Pipe()
	done := make(chan error, 1)
	m, ctx := sharedGuest(t), within(t, patience)
	go func() {
		_, err := m.Run(ctx, Command{Args: []string{"sh", "-c", "while read x; do echo got $x; done"}, Stdin: toGuest, Stdout: fromGuest})
		done <- err
	}()
	lines, start := bufio.NewReader(ourIn), time.Now()
	const turns = 50
	for i := range turns {
		fmt.Fprintf(ourOut, "%d\n", i)
		if got, err := lines.ReadString('\n'); err != nil || got != fmt.Sprintf("got %d\n", i) {
			t.Fatalf("turn %d: %q, %v", i, got, err)
		}
	}
	t.Logf("%v per turn", time.Since(start)/turns)
	ourOut.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLiveManyAtOnce(t *testing.T) {
	m := sharedGuest(t)
	release := make(chan struct{})
	go func() { // one that nobody listens to
		_, _ = m.Run(within(t, patience), Command{Args: []string{"yes"}, Stdout: writerFunc(func(p []byte) (int, error) {
			<-release
			return 0, io.ErrClosedPipe
		})})
	}()
	var all sync.WaitGroup
	start := time.Now()
	for i := range 6 {
		all.Go(func() {
			var out bytes.Buffer
			code, err := m.Run(within(t, patience), Command{Args: []string{"sh", "-c", fmt.Sprintf("head -c 1000000 /dev/zero; exit %d", i)}, Stdout: &out})
			if err != nil || code != i || out.Len() != 1000000 {
				t.Errorf("command %d = exit %d, %v, %d bytes; want 1000000", i, code, err, out.Len())
			}
		})
	}
	all.Wait()
	close(release)
	t.Logf("6 MB in %v beside a stalled stream", time.Since(start))
	sh(t, "killall yes || true")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestLiveTerminal(t *testing.T) {
	resize := make(chan [2]uint16)
	in, ourOut := io.Pipe()
	ourIn, out := io.Pipe()
	code := make(chan int, 1)
	m, ctx := sharedGuest(t), within(t, patience)
	go func() {
		c, err := m.Run(ctx, Command{TTY: true, Rows: 24, Cols: 80, Resize: resize, Stdin: in, Stdout: out,
			Args: []string{"sh", "-c", `tty; stty size; read x; stty size; read x; echo read $x; exit 3`}})
		out.Close()
		if err != nil {
			t.Error(err)
		}
		code <- c
	}()
	lines := bufio.NewReader(ourIn)
	next := func(want string) {
		t.Helper()
		line, err := lines.ReadString('\n')
		if got := strings.TrimSpace(line); err != nil || !strings.HasPrefix(got, want) {
			t.Fatalf("the terminal shows %q, %v; want %q", got, err, want)
		}
	}
	next("/dev/pts/")
	next("24 80")
	resize <- [2]uint16{40, 100}
	go fmt.Fprint(ourOut, "a\n")
	next("a") // the terminal's echo
	next("40 100")
	go fmt.Fprint(ourOut, "b\n")
	next("b")
	next("read b")
	if got := <-code; got != 3 {
		t.Errorf("exit code %d; want 3", got)
	}
}

func TestLiveCancelKills(t *testing.T) {
	m := sharedGuest(t)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := m.Run(ctx, Command{Args: []string{"sh", "-c", "sleep 4321; true"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v; want context.DeadlineExceeded", err)
	}
	if got := sh(t, "ps -ef | grep -c '[s]leep 4321' || true"); got != "0" {
		t.Errorf("%s processes survive their context", got)
	}
}

func TestLiveFiles(t *testing.T) {
	m := sharedGuest(t)
	ctx := within(t, patience)
	want := strings.Repeat("0123456789abcdef", 1<<16)
	if err := m.Put(ctx, "/tmp/a/b/file", 0o751, strings.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, "stat -c '%a %s' /tmp/a/b/file"); got != "751 1048576" {
		t.Errorf("the file in the guest is %s; want 751 1048576", got)
	}
	var got bytes.Buffer
	if err := m.Get(ctx, "/tmp/a/b/file", &got); err != nil || got.String() != want {
		t.Errorf("Get = %d bytes, %v; want %d", got.Len(), err, len(want))
	}
	if err := m.Get(ctx, "/tmp/none", &got); err == nil || !strings.Contains(err.Error(), "/tmp/none") {
		t.Errorf("Get of a missing file = %v; want an error with its name", err)
	}
}

// What a lab expects of a Linux system.
func TestLiveSystem(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"PID 1 is cutaway", "readlink /proc/1/exe", SelfPath},
		{"cgroup v2 with every controller below", "cd /sys/fs/cgroup && [ \"$(cat cgroup.controllers)\" = \"$(cat cgroup.subtree_control)\" ] && stat -f -c %T .", "cgroup2fs"},
		{"/usr is the disk", "stat -f -c %t /usr/bin; grep -c ' /usr erofs ro,' /proc/mounts", "e0f5e1e2\n1"},
		{"cutaway in PATH", "readlink -f $(command -v cutaway)", SelfPath},
		{"all else can be written", "for d in / /etc /root /home/learner /mnt /opt /srv /var/lib /tmp /run; do mkdir -p $d && touch $d/x && rm $d/x || echo $d; done", ""},
		{"lo is up", "ip -br addr show lo | grep -c 127.0.0.1", "1"},
		{"modules come on demand", "unshare -m sh -c 'mount -t tmpfs t /mnt && mkdir /mnt/l /mnt/u /mnt/w && mount -t overlay o -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/l && stat -f -c %T /mnt/l'", "overlayfs"},
		{"device mapper by its node", "dmsetup create z --table '0 8 zero' && dmsetup remove z && echo ok", "ok"},
		{"a link type", "unshare -n sh -c 'ip link add v0 type veth peer name v1 && ip link add v2 type vxlan id 4 dstport 4789 && echo ok'", "ok"},
		{"nftables", "unshare -n sh -c 'nft add table t && nft list tables'", "table ip t"},
		{"iptables", "unshare -n sh -c 'iptables -t nat -A POSTROUTING -j MASQUERADE && iptables -t nat -S | tail -1'", "-A POSTROUTING -j MASQUERADE"},
		{"loop device", "cd /tmp && truncate -s 16M disk && l=$(losetup -f --show disk) && mkfs.ext4 -q $l && losetup -d $l && echo ok", "ok"},
		{"scratch disk is the first", "cat /sys/block/vda/size /sys/block/vda/ro; cat /sys/block/vdb/ro /sys/block/vdb/serial", "131072\n0\n1\ncutaway-usr"},
		{"pivot_root", "unshare -m sh -c 'mount -t tmpfs t /mnt && mkdir /mnt/old && cp /bin/busybox /mnt && cd /mnt && pivot_root . old && /busybox ls /'", "busybox\nold"},
		{"no zombies", "(sleep 0.1 &) ; sleep 0.5; ps -eo stat= | grep -c '^Z' || true", "0"},
		{"the kernel's config", "grep -c '^CONFIG_OVERLAY_FS=m' /boot/config-$(uname -r)", "1"},
		{"user namespaces for ordinary users", "setpriv --reuid 1000 --regid 1000 --clear-groups unshare -r id -u", "0"},
		{"nothing tainted by us", "cat /proc/sys/kernel/tainted", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, sh(t, c.line)); diff != "" {
				t.Errorf("%s: %s", c.line, diff)
			}
		})
	}
}
