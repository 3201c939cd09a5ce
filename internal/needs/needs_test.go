package needs

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// ended is a test that remembers how it was ended.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Skipf(format string, args ...any)  { e.end("skip: ", format, args) }
func (e *ended) Fatalf(format string, args ...any) { e.end("fail: ", format, args) }

func (e *ended) end(how, format string, args []any) {
	e.how = how + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func how(t *testing.T, ask func(testing.TB)) string {
	e, done := &ended{TB: t}, make(chan struct{})
	go func() { defer close(done); ask(e) }()
	<-done
	return e.how
}

func TestSkipsAndFails(t *testing.T) {
	program := func(name string) func(testing.TB) {
		return func(t testing.TB) { Program(t, name, "its-package") }
	}
	for _, c := range []struct {
		require, want string
		ask           func(testing.TB)
	}{
		{"", "", program("sh")},
		{"all", "", program("sh")},
		{"", "skip: needs no-such-program (package its-package)", program("no-such-program")},
		{"all", "fail: needs no-such-program (package its-package)", program("no-such-program")},
		{"", "skip: needs /no/file (kernel option X)", func(t testing.TB) { File(t, "/no/file", "kernel option X") }},
		{"all", "fail: needs /no/file", func(t testing.TB) { File(t, "/no/file", "kernel option X") }},
		{"all", "", func(t testing.TB) { File(t, "/", "") }},
	} {
		t.Setenv("CUTAWAY_REQUIRE", c.require)
		if got := how(t, c.ask); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("CUTAWAY_REQUIRE=%q: %q; want %q", c.require, got, c.want)
		}
	}
}
