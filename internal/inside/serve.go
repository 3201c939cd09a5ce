package inside

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// job is a request on its way from the reader to the main thread.
type job struct {
	request
	ctx  context.Context
	done context.CancelFunc
}

// queueSize is how many requests may wait before the reader stops reading.
const queueSize = 1024

// serve is a helper's whole life. The main goroutine, which is the main thread,
// runs the handlers one after another; a second goroutine only reads, so that a
// cancel and the end of the socket are noticed while a handler is busy.
func serve() {
	conn := helperSocket()
	nameThread()
	dieWithCaller()
	queue := make(chan job, queueSize)
	go readRequests(conn, queue)

	answers := json.NewEncoder(conn)
	send(answers, reply{Hello: true})
	for j := range queue {
		send(answers, answer(j))
		j.done()
	}
}

// helperSocket takes the inherited fd 3. It must not pass to programs that a
// handler executes: they would hold the line open after the helper's death.
func helperSocket() *os.File {
	unix.CloseOnExec(socketFD)
	unix.SetNonblock(socketFD, true) // makes reads wait in the runtime, not in a thread
	return os.NewFile(socketFD, "inside-socket")
}

// nameThread sets what ps -o comm shows; after execveat it would be a number.
func nameThread() {
	name, _ := unix.BytePtrFromString(argv0)
	unix.Prctl(unix.PR_SET_NAME, ptr(name), 0, 0, 0)
}

// dieWithCaller asks for the death signal here too, since not every way of making
// a helper can. When the caller died before this line, the socket tells.
func dieWithCaller() {
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// readRequests ends the process when the other end is closed, whatever a handler
// is doing: a helper without a caller has no reason to be.
func readRequests(conn *os.File, queue chan<- job) {
	var running sync.Map // id -> cancel function
	requests := json.NewDecoder(conn)
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			os.Exit(0)
		}
		if r.Cancel {
			if cancel, ok := running.LoadAndDelete(r.ID); ok {
				cancel.(context.CancelFunc)()
			}
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		running.Store(r.ID, cancel)
		done := func() { running.Delete(r.ID); cancel() }
		queue <- job{request: r, ctx: ctx, done: done}
	}
}

// answer runs the handler and packs what it returned.
func answer(j job) reply {
	h, known := handlers[j.Name]
	if !known {
		return reply{ID: j.ID, Err: remote(unknown(j.Name))}
	}
	result, err := h(j.ctx, j.Args)
	if err != nil {
		return reply{ID: j.ID, Err: remote(err)}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return reply{ID: j.ID, Err: remote(fmt.Errorf("pack the result of %s: %w", j.Name, err))}
	}
	return reply{ID: j.ID, Result: text}
}

func unknown(name string) error {
	var names []string
	for n := range handlers {
		names = append(names, n)
	}
	slices.Sort(names)
	return fmt.Errorf("no request is called %q (is its package linked in?); known: %q", name, names)
}

// send writes one message; a caller that has hung up is nothing to report.
func send(to *json.Encoder, r reply) {
	if to.Encode(r) != nil {
		os.Exit(0)
	}
}
