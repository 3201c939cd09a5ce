package aufs

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// loop reads requests from the kernel, has them answered, and sends the answers.
//
// One worker at a time reads: the leader. What is soon done it answers itself
// before it reads on, so that a program and the server wake each other in turn
// and nobody else wakes. Before something that may take long (see long.go) it
// makes another worker the leader. go-fuse's own loop has several threads read;
// the kernel wakes them in turn, each on a processor whose caches are cold.
type loop struct {
	fs     *FS
	fd     int // /dev/fuse
	server *fuse.ProtocolServer
	lead   chan struct{}  // holds a token while nobody leads
	idle   atomic.Int32   // workers that wait for the token
	count  atomic.Int32   // workers in all
	ends   sync.WaitGroup // of the workers
}

// maxWorkers bounds what is answered at a time. With all at work, requests wait.
const maxWorkers = 64

func newLoop(fs *FS, fd int) *loop {
	return &loop{fs: fs, fd: fd, server: fuse.NewProtocolServer(fs, fuseOptions()), lead: make(chan struct{}, 1)}
}

// greet answers the first request, INIT: what each side can do.
func (l *loop) greet() error {
	b, err := newBuffers()
	if err != nil {
		return err
	}
	defer b.free()
	n, err := unix.Read(l.fd, b.in)
	if err != nil {
		return fmt.Errorf("reading the kernel's greeting from /dev/fuse: %w", err)
	}
	hello := (*fuse.InitIn)(unsafe.Pointer(&b.in[0])) // a short one, of before Linux 5.17, ends in zeros
	l.fs.kernel.noPass.Store(hello.Flags64()&fuse.CAP_PASSTHROUGH == 0)
	l.fs.kernel.fd, l.fs.kernel.live = l.fd, true
	l.answer(b, n)
	return nil
}

// run serves until the union is unmounted.
func (l *loop) run() {
	l.lead <- struct{}{}
	l.start()
	l.ends.Wait()
}

func (l *loop) start() {
	l.ends.Add(1)
	l.count.Add(1)
	go l.work()
}

// work leads whenever it is this worker's turn.
func (l *loop) work() {
	defer l.ends.Done()
	b, err := newBuffers()
	if err != nil {
		return // no memory: the others go on
	}
	defer b.free()
	for {
		l.idle.Add(1)
		_, on := <-l.lead
		l.idle.Add(-1)
		if !on || !l.leadOn(b) {
			return
		}
	}
}

// leadOn leads until something long turns up, passes the lead on and does it.
// False says that the union is unmounted.
func (l *loop) leadOn(b *buffers) bool {
	for {
		n, err := unix.Read(l.fd, b.in)
		switch err {
		case nil:
		case unix.EINTR, unix.EAGAIN, unix.ENOENT: // ENOENT: the request was withdrawn
			continue
		default: // ENODEV
			close(l.lead)
			return false
		}
		if l.fs.takesLong(b.in[:n]) {
			l.passOn()
			l.answer(b, n)
			return true
		}
		l.answer(b, n)
	}
}

// passOn lets another worker lead.
func (l *loop) passOn() {
	if l.idle.Load() == 0 && l.count.Load() < maxWorkers {
		l.start()
	}
	l.lead <- struct{}{}
}

// answer has a request answered. Nobody waits for an answer that the kernel does
// not take: the program that asked is gone.
func (l *loop) answer(b *buffers, n int) {
	if l.readThroughPipe(b, n) {
		return
	}
	if n, status := l.server.HandleRequest([][]byte{b.in[:n]}, [][]byte{b.out}); status.Ok() && n > 0 {
		unix.Write(l.fd, b.out[:n])
	}
}
