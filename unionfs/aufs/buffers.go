package aufs

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// buffers are a worker's: one request, one answer, and a pipe for long ones.
type buffers struct {
	in, out []byte
	memory  []byte
	pipe    [2]int // read end, write end; -1 before the first use
}

const (
	maxPayload = 1 << 20 // bytes of data in a request or an answer
	answerHead = int(unsafe.Sizeof(fuse.OutHeader{}))
	writeHead  = int(unsafe.Sizeof(fuse.WriteIn{}))
)

// newBuffers gets memory from the kernel itself: most of it is never touched, and
// so never there. The data that follows the headers starts on a page, as a
// branch opened with O_DIRECT wants it.
//
// man page: mmap(2).
func newBuffers() (*buffers, error) {
	page := os.Getpagesize()
	half := page + maxPayload + page
	memory, err := unix.Mmap(-1, 0, 2*half, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap of %d bytes for requests: %w", 2*half, err)
	}
	return &buffers{in: memory[page-writeHead : half], out: memory[half+page-answerHead:], memory: memory, pipe: [2]int{-1, -1}}, nil
}

func (b *buffers) free() {
	b.closePipe()
	unix.Munmap(b.memory)
}

// openPipe makes a pipe that takes a whole answer, on first use.
func (b *buffers) openPipe() error {
	if b.pipe[0] >= 0 {
		return nil
	}
	if err := unix.Pipe2(b.pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(b.pipe[1]), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		b.closePipe()
		return err
	}
	return nil
}

// closePipe throws the pipe away with what is in it.
func (b *buffers) closePipe() {
	if b.pipe[0] >= 0 {
		unix.Close(b.pipe[0])
		unix.Close(b.pipe[1])
	}
	b.pipe = [2]int{-1, -1}
}
