package nsdemo_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/nsdemo"
)

func TestHostname(t *testing.T) {
	before := must(nsdemo.Hostname())(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.UTS}, Hostname: "learner"})
	if got := must(p.Hostname(t.Context()))(t); got != "learner" {
		t.Errorf("hostname inside = %q; want learner", got)
	}
	if got := must(nsdemo.Hostname())(t); got != before || got == "learner" {
		t.Errorf("hostname outside = %q; want %q", got, before)
	}
}

func TestHostnameOfTheHostIsRefused(t *testing.T) {
	needs.Root(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.IPC}})
	if err := p.SetHostname(t.Context(), "cutaway-test"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("SetHostname in the host's uts namespace = %v; want refused", err)
	}
}

func TestMessageQueuesAreSeenInsideOnly(t *testing.T) {
	for _, spec := range []nsdemo.Spec{
		{Kinds: []nsdemo.Kind{nsdemo.IPC, nsdemo.Mnt}},
		{Kinds: []nsdemo.Kind{nsdemo.IPC, nsdemo.Mnt, nsdemo.User}, As: nobody()},
	} {
		if os.Getuid() != 0 {
			spec.As, spec.Kinds = nil, append(spec.Kinds[:2:2], nsdemo.User)
		}
		p := start(t, spec)
		const key = 0x0c07a
		id := must(p.MsgGet(t.Context(), key, 0o640))(t)
		inside := must(p.MsgQueues(t.Context()))(t)
		if len(inside) != 1 || inside[0].ID != id || inside[0].Key != key || inside[0].Mode != 0o640 {
			t.Errorf("queues inside = %+v; want the one with key %#x", inside, key)
		}
		for _, q := range must(nsdemo.ReadMsgQueues(proc))(t) {
			if q.Key == key {
				t.Errorf("the host has the queue, too: %+v", q)
			}
		}
		do(t, p.MQCreate(t.Context(), "cutaway"))
		if diff := cmp.Diff([]string{"cutaway"}, must(p.MQList(t.Context()))(t)); diff != "" {
			t.Errorf("POSIX queues inside (-want +got):\n%s", diff)
		}
		if os.Getuid() == 0 && slices.Contains(must(nsdemo.MQList())(t), "cutaway") {
			t.Error("the host has the POSIX queue, too")
		}
		if _, err := p.MsgGet(t.Context(), key, 0o640); !errors.Is(err, unix.EEXIST) {
			t.Errorf("the second MsgGet = %v; want EEXIST", err)
		}
		do(t, p.MsgRemove(t.Context(), id))
		do(t, p.MQUnlink(t.Context(), "cutaway"))
		if left := must(p.MsgQueues(t.Context()))(t); len(left) != 0 {
			t.Errorf("queues after MsgRemove = %+v", left)
		}
	}
}

func TestEmptyNetNamespace(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Net}})
	links := must(p.Links(t.Context()))(t)
	if len(links) == 0 || links[0].Name != "lo" || links[0].Up {
		t.Errorf("links inside = %+v; want lo, down", links)
	}
	for _, l := range links[min(1, len(links)):] {
		if l.Up { // tunnel modules put devices such as sit0 into every namespace
			t.Errorf("link inside %+v is up", l)
		}
	}
}

func TestSamePortInsideAndOutside(t *testing.T) {
	kinds := []nsdemo.Kind{nsdemo.Net}
	first, second := start(t, nsdemo.Spec{Kinds: kinds}), start(t, nsdemo.Spec{Kinds: kinds})
	const address = "127.0.0.1:18088"
	for greeting, p := range map[string]*nsdemo.Process{"first": first, "second": second} {
		do(t, p.LoopbackUp(t.Context()))
		if got := must(p.Listen(t.Context(), address, greeting))(t); got != address {
			t.Errorf("Listen = %q; want %q", got, address)
		}
	}
	for greeting, p := range map[string]*nsdemo.Process{"first": first, "second": second} {
		if got := must(p.Dial(t.Context(), address))(t); got != greeting {
			t.Errorf("the listener reached from the %s says %q", greeting, got)
		}
	}
	if _, err := first.Listen(t.Context(), address, "again"); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the second listen in one namespace = %v; want EADDRINUSE", err)
	}
	third := start(t, nsdemo.Spec{Kinds: kinds})
	if _, err := third.Dial(t.Context(), address); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("Dial with lo down = %v; want ENETUNREACH", err)
	}
}

// cgroupDir makes a cgroup folder, on v2 or on any v1 hierarchy.
func cgroupDir(t *testing.T) string {
	t.Helper()
	for _, m := range must(nsdemo.Mounts(proc, os.Getpid()))(t) {
		if m.FSType != "cgroup2" && m.FSType != "cgroup" || strings.Contains(m.VFSOptions, "cpuset") {
			continue
		}
		dir := filepath.Join(m.Mountpoint, "cutaway-nsdemo-test")
		if err := os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() {
			eventually(t, dir+" removed", func() bool { return os.Remove(dir) == nil })
		})
		return dir
	}
	needs.Missing(t, "a writable cgroup filesystem")
	return ""
}

func TestCgroupNamespaceRoot(t *testing.T) {
	needs.Root(t)
	dir := cgroupDir(t)
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Cgroup}, CgroupDir: dir})
	outside := must(nsdemo.CgroupPaths(proc, p.Pid()))(t)
	at := slices.IndexFunc(outside, func(c nsdemo.CgroupPath) bool { return strings.HasSuffix(c.Path, "/cutaway-nsdemo-test") })
	if at < 0 {
		t.Fatalf("paths outside = %+v; want one that ends in the folder's name", outside)
	}
	inside := must(p.CgroupPaths(t.Context()))(t)
	if inside[at].Path != "/" {
		t.Errorf("path inside = %q; want /", inside[at].Path)
	}
	if id := must(nsdemo.ID(proc, p.Pid(), nsdemo.Cgroup))(t); id == must(nsdemo.ID(proc, os.Getpid(), nsdemo.Cgroup))(t) {
		t.Error("the cgroup namespace is the caller's own")
	}
}

func TestTimeOffset(t *testing.T) {
	const day = 24 * time.Hour
	want := nsdemo.Offsets{Boottime: 10 * day, Monotonic: 5 * day}
	for _, spec := range []nsdemo.Spec{
		{Kinds: []nsdemo.Kind{nsdemo.Time}, Offsets: want},
		{Kinds: []nsdemo.Kind{nsdemo.Time, nsdemo.User, nsdemo.PID}, Offsets: want, As: nobody()},
	} {
		if os.Getuid() != 0 {
			spec.As, spec.Kinds = nil, []nsdemo.Kind{nsdemo.Time, nsdemo.User}
		}
		p := start(t, spec)
		if got := must(nsdemo.ReadOffsets(proc, p.Pid()))(t); got != want {
			t.Errorf("ReadOffsets = %+v; want %+v", got, want)
		}
		near := func(what string, inside, outside, want time.Duration) {
			t.Helper()
			if d := inside - outside - want; d < -time.Minute || d > time.Minute {
				t.Errorf("%s: inside %v, outside %v; want %v more", what, inside, outside, want)
			}
		}
		inside, outside := must(p.Clocks(t.Context()))(t), must(nsdemo.ReadClocks())(t)
		near("CLOCK_REALTIME", inside.Realtime, outside.Realtime, 0)
		near("CLOCK_MONOTONIC", inside.Monotonic, outside.Monotonic, want.Monotonic)
		near("CLOCK_BOOTTIME", inside.Boottime, outside.Boottime, want.Boottime)
		near("uptime", must(p.Uptime(t.Context()))(t), must(nsdemo.Uptime(proc))(t), want.Boottime)
		if must(nsdemo.ID(proc, p.Pid(), nsdemo.Time))(t) == must(nsdemo.ID(proc, os.Getpid(), nsdemo.Time))(t) {
			t.Error("the time namespace is the caller's own")
		}
	}
}

func TestTimeOffsetBeforeZero(t *testing.T) {
	_, err := nsdemo.Start(t.Context(), anyone(nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Time},
		Offsets: nsdemo.Offsets{Boottime: -100 * 365 * 24 * time.Hour}}))
	if !errors.Is(err, unix.ERANGE) {
		t.Errorf("Start = %v; want ERANGE", err)
	}
}
