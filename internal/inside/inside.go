package inside

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
)

// argv0 marks a process as a helper; it is also what ps shows for one.
const argv0 = "cutaway-inside"

// usherArg is the second argument of the process that only prepares the way.
const usherArg = "usher"

// socketFD is where a helper finds its end of the socket pair.
const socketFD = 3

// Handler serves one named request inside the namespaces. What it returns is
// sent back as JSON; an error keeps its text and its errno.
type Handler func(ctx context.Context, args json.RawMessage) (any, error)

// handlers is filled while packages are initialised and only read afterwards.
var handlers = map[string]Handler{}

// mainCalled guards against the worst mistake: a program that starts itself as a
// helper but does not know that it is one would start itself again, for ever.
var mainCalled atomic.Bool

// A helper's main goroutine must be the main thread's, or /proc/PID/ns would show
// another thread's namespaces than the handlers see. Only init can ask for that.
func init() {
	if isHelper() {
		runtime.LockOSThread()
	}
}

func isHelper() bool { return len(os.Args) > 0 && os.Args[0] == argv0 }

// Register makes h the handler of the requests called name. Call it while the
// package is initialised; a name that is taken panics.
func Register(name string, h Handler) {
	if _, taken := handlers[name]; taken {
		panic(fmt.Sprintf("inside: request %q is registered twice", name))
	}
	handlers[name] = h
}

// Main must be the first call of main() and of TestMain. In a helper it serves
// requests and never returns; in any other process it costs one comparison.
func Main() {
	mainCalled.Store(true)
	if !isHelper() {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == usherArg {
		usher()
	}
	serve()
}
