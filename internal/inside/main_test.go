package inside_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

// TestMain has the line that every program with helpers has.
func TestMain(m *testing.M) {
	inside.Main()
	os.Exit(m.Run())
}

func init() {
	inside.Register("test.echo", func(_ context.Context, args json.RawMessage) (any, error) { return args, nil })
	inside.Register("test.fail", fail)
	inside.Register("test.sleep", sleep)
	inside.Register("test.links", links)
	inside.Register("test.read", read)
	inside.Register("test.sethostname", setHostname)
	inside.Register("test.exec", execSleep)
	inside.Register("test.panic", func(context.Context, json.RawMessage) (any, error) { panic("on purpose") })
	inside.Register("test.ids", func(context.Context, json.RawMessage) (any, error) {
		return []int{os.Getuid(), os.Getgid(), os.Getpid(), unix.Gettid()}, nil
	})
}

// fail makes one of several kinds of error.
func fail(_ context.Context, args json.RawMessage) (any, error) {
	var kind string
	json.Unmarshal(args, &kind)
	switch kind {
	case "syscall":
		return nil, os.NewSyscallError("mount", unix.EBUSY)
	case "path":
		_, err := os.Open("/no/such/file")
		return nil, err
	case "wrapped":
		return nil, fmt.Errorf("set the hostname: %w", unix.EPERM)
	case "joined":
		return nil, errors.Join(unix.EINVAL, fmt.Errorf("and then: %w", unix.ENOSPC))
	}
	return nil, errors.New("no errno at all")
}

// sleep ends early when it is cancelled, and says so through the clock only.
func sleep(ctx context.Context, args json.RawMessage) (any, error) {
	var d time.Duration
	json.Unmarshal(args, &d)
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return "slept", nil
}

func links(context.Context, json.RawMessage) (any, error) {
	ids := map[string]string{}
	for _, kind := range []string{"mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time"} {
		link, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return nil, err
		}
		ids[kind] = link
	}
	return ids, nil
}

func read(_ context.Context, args json.RawMessage) (any, error) {
	var path string
	json.Unmarshal(args, &path)
	text, err := os.ReadFile(path)
	return string(text), err
}

func setHostname(_ context.Context, args json.RawMessage) (any, error) {
	var name string
	json.Unmarshal(args, &name)
	return nil, unix.Sethostname([]byte(name))
}

func execSleep(context.Context, json.RawMessage) (any, error) {
	return nil, unix.Exec("/bin/sleep", []string{"sleep", "100"}, nil)
}

// start makes a helper that ends with the test.
func start(t *testing.T, cfg inside.Config) *inside.Helper {
	t.Helper()
	h, err := inside.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Start(%+v) = %v", cfg, err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return h
}

// openFiles counts this process's file descriptors. The runtime's own (epoll,
// eventfd) are there after the first helper.
func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			list = append(list, e.Name()+" "+target)
		}
	}
	return list
}

// children lists the pids whose parent is this process, zombies included.
func children(t *testing.T) string {
	t.Helper()
	var all []string
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		text, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		all = append(all, strings.Fields(string(text))...)
	}
	return strings.Join(all, " ")
}
