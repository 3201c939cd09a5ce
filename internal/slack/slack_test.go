package slack

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"cutaway/internal/needs"
)

// TestWatcher reads back what init did: one thread has another slack than the
// program was started with, and all others have that.
func TestWatcher(t *testing.T) {
	needs.Root(t)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads[:2] {
		want := fmt.Sprint(Inherited())
		if thread.Name() == watcher() {
			want = wide
		}
		text, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns")
		if got := strings.TrimSpace(string(text)); err != nil || got != want {
			t.Errorf("the slack of thread %s = %s, %v; want %s ns", thread.Name(), got, err, want)
		}
	}
	if threads[0].Name() == watcher() {
		t.Errorf("watcher = %s, which is the first thread", watcher())
	}
}
