package vm

import (
	"errors"
	"io"
	"sync"
)

// Flow control: a sender may have streamWindow bytes on their way. It starts with
// that much credit, spends it by sending and gets it back by grants, which the
// receiver gives as its reader takes bytes out. So the goroutine that reads the line
// never waits for a slow reader, and what a chatty stream piles up is bounded.

// credit is the sender's side of one channel.
type credit struct {
	mu     sync.Mutex
	change *sync.Cond
	left   int
	err    error
}

func newCredit() *credit {
	c := &credit{left: streamWindow}
	c.change = sync.NewCond(&c.mu)
	return c
}

// Take waits for credit and spends up to want of it.
func (c *credit) Take(want int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left == 0 && c.err == nil {
		c.change.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	n := min(want, c.left)
	c.left -= n
	return n, nil
}

// Add gives credit back.
func (c *credit) Add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left += n
	c.change.Broadcast()
}

// Fail makes this and every later Take return err.
func (c *credit) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.change.Broadcast()
}

// inbox is the receiver's side of one channel: an io.Reader over what has arrived.
type inbox struct {
	mu     sync.Mutex
	change *sync.Cond
	chunks [][]byte
	held   int // bytes in chunks
	taken  int // bytes read and not granted yet
	err    error
	grant  func(n int)
}

func newInbox(grant func(n int)) *inbox {
	b := &inbox{grant: grant}
	b.change = sync.NewCond(&b.mu)
	return b
}

var errOverrun = errors.New("the other side sent more than it was granted")

// Put takes what came off the line. It never waits.
func (b *inbox) Put(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+len(p) > streamWindow {
		return errOverrun
	}
	if b.err == nil && len(p) > 0 {
		b.chunks = append(b.chunks, p)
		b.held += len(p)
		b.change.Broadcast()
	}
	return nil
}

// End makes Read return err (io.EOF for an orderly end) after what has arrived.
func (b *inbox) End(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.change.Broadcast()
}

// Read waits for bytes. Grants are sent for a quarter window at a time: one for
// every small read would double the traffic.
func (b *inbox) Read(p []byte) (int, error) {
	n, granted, err := b.take(p)
	if granted > 0 {
		b.grant(granted) // outside the lock: it writes to the line
	}
	return n, err
}

func (b *inbox) take(p []byte) (n, granted int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.chunks) == 0 && b.err == nil {
		b.change.Wait()
	}
	if len(b.chunks) == 0 {
		return 0, 0, b.err
	}
	n = copy(p, b.chunks[0])
	if b.chunks[0] = b.chunks[0][n:]; len(b.chunks[0]) == 0 {
		b.chunks = b.chunks[1:]
	}
	b.held -= n
	if b.taken += n; b.taken >= streamWindow/4 {
		granted, b.taken = b.taken, 0
	}
	return n, granted, nil
}

var _ io.Reader = (*inbox)(nil)
