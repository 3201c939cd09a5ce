package inside_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
	"cutaway/internal/needs"
)

func TestCallEchoes(t *testing.T) {
	h := start(t, inside.Config{})
	want := map[string]any{"a": 1.0, "b": []any{"x", nil}}
	var got map[string]any
	if err := h.Call(t.Context(), "test.echo", want, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
}

func TestErrorsKeepTextAndErrno(t *testing.T) {
	h := start(t, inside.Config{})
	tests := []struct {
		kind, text string
		is         []error
	}{
		{"syscall", "mount: device or resource busy", []error{unix.EBUSY}},
		{"path", "open /no/such/file: no such file or directory", []error{unix.ENOENT, fs.ErrNotExist}},
		{"wrapped", "set the hostname: operation not permitted", []error{unix.EPERM, fs.ErrPermission}},
		{"joined", "invalid argument\nand then: no space left on device", []error{unix.EINVAL, unix.ENOSPC}},
		{"none", "no errno at all", nil},
	}
	for _, test := range tests {
		err := h.Call(t.Context(), "test.fail", test.kind, nil)
		if err == nil || err.Error() != test.text {
			t.Errorf("Call(fail, %q) = %v; want %q", test.kind, err, test.text)
		}
		for _, want := range test.is {
			if !errors.Is(err, want) {
				t.Errorf("errors.Is(%v, %v) = false; want true", err, want)
			}
		}
		if errors.Is(err, unix.EIO) || errors.Is(err, inside.ErrGone) {
			t.Errorf("%v passes for EIO or ErrGone", err)
		}
	}
}

func TestUnknownRequestNamesTheKnown(t *testing.T) {
	err := start(t, inside.Config{}).Call(t.Context(), "test.nothing", nil, nil)
	if err == nil || !strings.Contains(err.Error(), `"test.echo"`) {
		t.Errorf("Call of an unknown name = %v; want a list of the known ones", err)
	}
}

func TestKilledHelperIsGoneAtOnce(t *testing.T) {
	h := start(t, inside.Config{})
	go func() {
		time.Sleep(50 * time.Millisecond)
		h.Process().Kill()
	}()
	begin := time.Now()
	err := h.Call(t.Context(), "test.sleep", time.Minute, nil)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("Call returned after %v; want at once", took)
	}
	var gone *inside.Gone
	if !errors.As(err, &gone) || !errors.Is(err, inside.ErrGone) {
		t.Fatalf("Call = %v; want ErrGone", err)
	}
	if ws, ok := gone.State.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Errorf("state = %v; want killed by SIGKILL", gone.State)
	}
	if err := h.Call(t.Context(), "test.echo", 1, nil); !errors.Is(err, inside.ErrGone) {
		t.Errorf("the next Call = %v; want ErrGone again", err)
	}
}

func TestPanicArrivesAsLastWords(t *testing.T) {
	err := start(t, inside.Config{}).Call(t.Context(), "test.panic", nil, nil)
	if !errors.Is(err, inside.ErrGone) || !strings.Contains(err.Error(), "inside_test") {
		t.Errorf("Call = %v; want ErrGone with the helper's stack", err)
	}
}

func TestHelperThatExecutesAnotherProgram(t *testing.T) {
	h := start(t, inside.Config{})
	err := h.Call(t.Context(), "test.exec", nil, nil)
	var gone *inside.Gone
	if !errors.As(err, &gone) || gone.State != nil {
		t.Fatalf("Call = %v; want Gone without a state", err)
	}
	if err := h.Process().Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process does not live on: %v", err)
	}
}

func TestDeadlineReturnsAndKillsNothing(t *testing.T) {
	h := start(t, inside.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := h.Call(ctx, "test.sleep", time.Minute, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Call = %v; want DeadlineExceeded", err)
	}
	// The handler was told, so the next request need not wait a minute, and
	// gets its own answer, not the late one.
	var got string
	if err := h.Call(t.Context(), "test.echo", "next", &got); err != nil || got != "next" {
		t.Errorf("the next Call = %q, %v; want next", got, err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v; want the handler cancelled", took)
	}
}

func TestBigPayload(t *testing.T) {
	h := start(t, inside.Config{})
	want := strings.Repeat("cutaway ", 2<<20)
	var got string
	if err := h.Call(t.Context(), "test.echo", want, &got); err != nil || got != want {
		t.Errorf("echo of %d bytes = %d bytes, %v", len(want), len(got), err)
	}
}

func TestSeveralHelpersAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			h, err := inside.Start(t.Context(), inside.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			defer h.Close()
			for n := range 20 {
				var got int
				if err := h.Call(t.Context(), "test.echo", i*100+n, &got); err != nil || got != i*100+n {
					t.Errorf("helper %d: %d, %v", i, got, err)
				}
			}
		})
	}
	all.Wait()
}

func TestCallsFromSeveralGoroutines(t *testing.T) {
	h := start(t, inside.Config{})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			var got int
			if err := h.Call(t.Context(), "test.echo", i, &got); err != nil || got != i {
				t.Errorf("Call(%d) = %d, %v", i, got, err)
			}
		})
	}
	all.Wait()
}

func TestHandlersRunOnTheMainThread(t *testing.T) {
	h := start(t, inside.Config{})
	var got []int
	if err := h.Call(t.Context(), "test.ids", nil, &got); err != nil {
		t.Fatal(err)
	}
	if got[2] != got[3] || got[2] != h.Pid() {
		t.Errorf("pid %d, tid %d, h.Pid() %d; want all equal", got[2], got[3], h.Pid())
	}
	if comm, _ := os.ReadFile("/proc/" + itoa(h.Pid()) + "/comm"); string(comm) != "cutaway-inside\n" {
		t.Errorf("comm = %q; want cutaway-inside", comm)
	}
}

func TestOutlivesTheThreadThatStartedIt(t *testing.T) {
	made := make(chan *inside.Helper)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		h, err := inside.Start(t.Context(), inside.Config{})
		if err != nil {
			t.Error(err)
		}
		made <- h
	}()
	h := <-made
	defer h.Close()
	time.Sleep(100 * time.Millisecond)
	if err := h.Call(t.Context(), "test.echo", 1, nil); err != nil {
		t.Errorf("after the starting thread ended: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	tests := []struct {
		name string
		cfg  inside.Config
		says string
	}{
		{"unknown kind", inside.Config{Join: &inside.Join{Pid: 1, Kinds: []string{"disk"}}}, `"disk"`},
		{"offsets without a time namespace", inside.Config{Offsets: "boottime 1 0"}, "CLONE_NEWTIME"},
		{"chroot with join", inside.Config{Join: &inside.Join{Pid: 1}, Attr: &syscall.SysProcAttr{Chroot: "/x"}}, "Chroot:/x"},
		{"no such file", inside.Config{Join: &inside.Join{Files: map[string]string{"net": "/no/such/netns"}}}, "/no/such/netns"},
		{"no such process", inside.Config{Join: &inside.Join{Pid: 1 << 22, Kinds: []string{"uts"}}}, "pidfd_open"},
	}
	for _, test := range tests {
		h, err := inside.Start(t.Context(), test.cfg)
		if err == nil {
			h.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: Start = %v; want an error with %s", test.name, err, test.says)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	needs.Root(t)
	use := func() {
		h, err := inside.Start(t.Context(), inside.Config{})
		if err != nil {
			t.Fatal(err)
		}
		h.Call(t.Context(), "test.echo", 1, nil)
		j, err := inside.Start(t.Context(), inside.Config{Join: &inside.Join{Pid: h.Pid(), Kinds: []string{"user"}}})
		if err != nil {
			t.Fatal(err)
		}
		j.Close()
		h.Close()
		h.Close()
		// a start that fails half-way, behind the usher
		bad := inside.Config{Attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWTIME}, Offsets: "nonsense 1 1"}
		if h, err := inside.Start(t.Context(), bad); err == nil {
			h.Close()
			t.Error("nonsense offsets were taken")
		}
		// one that fails behind the usher, in a child that the usher cannot reap
		worse := inside.Config{As: &syscall.Credential{Uid: 65534, Gid: 65534}, Attr: rootInside(unix.CLONE_NEWUSER, 0)}
		if h, err := inside.Start(t.Context(), worse); !errors.Is(err, unix.EPERM) {
			t.Errorf("Start(an ordinary user who maps root) = %v, %v; want EPERM", h, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if h, err := inside.Start(ctx, inside.Config{}); err == nil {
			h.Close()
			t.Error("Start with an ended context made a helper")
		}
	}
	use()
	before := openFiles(t)
	for range 5 {
		use()
	}
	if diff := cmp.Diff(before, openFiles(t)); diff != "" {
		t.Errorf("open files (-before +after):\n%s", diff)
	}
	if left := children(t); left != "" {
		t.Errorf("children left: %s", left)
	}
}
