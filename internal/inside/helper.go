package inside

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// Helper is a process that answers requests in its namespaces.
type Helper struct {
	proc     *os.Process
	conn     *os.File
	requests *json.Encoder
	replies  *json.Decoder
	stderr   *stderrPipe

	turn chan struct{} // holds one token: who has it may write

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]chan reply

	hungUp chan struct{}    // closed when the socket has ended
	ended  chan struct{}    // closed when the process is reaped
	state  *os.ProcessState // valid after ended

	close    sync.Once
	closeErr error
}

func newHelper() *Helper {
	h := &Helper{
		turn: make(chan struct{}, 1), waiting: map[uint64]chan reply{},
		hungUp: make(chan struct{}), ended: make(chan struct{}),
	}
	h.turn <- struct{}{}
	return h
}

// Pid is the helper's process id in the caller's pid namespace.
func (h *Helper) Pid() int { return h.proc.Pid }

// Process is the helper for signals. Do not Wait for it: Close does.
func (h *Helper) Process() *os.Process { return h.proc }

// Call sends the named request and stores the answer in result (a pointer, or
// nil). Requests are served one at a time, in order. When ctx ends first, Call
// returns its error; the handler's own ctx is cancelled, and nothing is killed.
// A helper that has ended gives a [*Gone], which is [ErrGone].
func (h *Helper) Call(ctx context.Context, name string, args, result any) error {
	packed, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("pack the arguments of %s: %w", name, err)
	}
	id, answer := h.expect()
	defer h.forget(id)
	written := make(chan struct{})
	go h.write(ctx, request{ID: id, Name: name, Args: packed}, written)
	select {
	case r := <-answer:
		return unpack(name, r, result)
	case <-h.hungUp:
		select { // the last answer may have come just before the end
		case r := <-answer:
			return unpack(name, r, result)
		default:
			return fmt.Errorf("%s: %w", name, h.gone())
		}
	case <-ctx.Done():
		go func() {
			<-written // a cancel must not overtake its request
			h.write(context.Background(), request{ID: id, Cancel: true}, make(chan struct{}))
		}()
		return fmt.Errorf("%s in helper %d: %w", name, h.Pid(), ctx.Err())
	}
}

func (h *Helper) expect() (uint64, chan reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastID++
	answer := make(chan reply, 1)
	h.waiting[h.lastID] = answer
	return h.lastID, answer
}

func (h *Helper) forget(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, id)
}

// write sends one whole message. It is never cut off by ctx once begun, or the
// next message would start in the middle of this one. An error needs no report:
// the reader sees the same end.
func (h *Helper) write(ctx context.Context, r request, written chan<- struct{}) {
	defer close(written)
	select {
	case <-h.turn:
		h.requests.Encode(r)
		h.turn <- struct{}{}
	case <-ctx.Done():
	}
}

// readReplies hands every answer to who waits for it; one that nobody waits for
// any more is dropped.
func (h *Helper) readReplies() {
	defer close(h.hungUp)
	for {
		var r reply
		if h.replies.Decode(&r) != nil {
			return
		}
		h.mu.Lock()
		answer := h.waiting[r.ID]
		h.mu.Unlock()
		if answer != nil {
			answer <- r
		}
	}
}

func unpack(name string, r reply, result any) error {
	if r.Err != nil {
		return r.Err
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		return fmt.Errorf("unpack the result of %s: %w", name, err)
	}
	return nil
}

// How long Close waits for the helper to leave by itself, and then for the
// kernel to carry out the kill.
const (
	leaveTime = 300 * time.Millisecond
	killTime  = 10 * time.Second
)

// Close ends the helper and reaps it. Calling it again is harmless.
func (h *Helper) Close() error {
	h.close.Do(func() { h.closeErr = h.end() })
	return h.closeErr
}

func (h *Helper) end() error {
	hungUp := h.isHungUp() // then it has executed another program, or is dead
	h.conn.Close()
	if hungUp || !h.endsWithin(leaveTime) {
		h.proc.Kill()
	}
	if !h.endsWithin(killTime) {
		return fmt.Errorf("helper %d is still there %v after SIGKILL; look at /proc/%d/stack", h.Pid(), killTime, h.Pid())
	}
	h.stderr.close()
	return nil
}

func (h *Helper) isHungUp() bool {
	select {
	case <-h.hungUp:
		return true
	default:
		return false
	}
}

func (h *Helper) endsWithin(d time.Duration) bool {
	select {
	case <-h.ended:
		return true
	case <-time.After(d):
		return false
	}
}
