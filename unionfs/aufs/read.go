package aufs

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// What one READ costs, whatever its size, is the way to the server and back.
// So long reads are made longer (widenReads), and their data is not copied to
// us on its way (pipeFrom). Files in a rw branch need neither: see
// passthrough.go.

// readAheadKB is how far the kernel reads ahead in a file of the union, and so
// the size of the reads that it asks us for. Its own choice is 128. A pipe
// takes 1024 at most (/proc/sys/fs/pipe-max-size), with the header of the
// answer, in a power of two.
const readAheadKB = "512"

// pipeFrom is the size from which an answer goes through a pipe, which the pages
// of the branch's file are hung into: two copies fewer, for two system calls more.
// A pipe of pipeSize has no room for more than pipeMost, beside the header and
// the parts of pages at both ends.
const (
	pipeFrom = 256 << 10
	pipeSize = 1 << 20
	pipeMost = pipeSize - 16<<10
)

// Read answers READ by naming the descriptor to read from.
func (fs *FS) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	h := fs.handle(in.Fh)
	if h == nil {
		return nil, fuse.EBADF
	}
	return fuse.ReadResultFd(uintptr(h.fd.Load()), int64(in.Offset), int(in.Size)), fuse.OK
}

// readThroughPipe answers a long READ without touching the data. False says that
// it is none, or that the pipe did not do: then it has to be answered otherwise.
//
// man page: splice(2).
func (l *loop) readThroughPipe(b *buffers, n int) bool {
	in := (*fuse.ReadIn)(unsafe.Pointer(&b.in[0]))
	if n < int(unsafe.Sizeof(*in)) || in.Opcode != opRead || in.Size < pipeFrom || in.Size > pipeMost {
		return false
	}
	h := l.fs.handle(in.Fh)
	if h == nil || b.openPipe() != nil {
		return false
	}
	// The header stands before the data and tells its length. Where the file ends
	// earlier, all is thrown away.
	whole := answerHead + int(in.Size)
	head := (*fuse.OutHeader)(unsafe.Pointer(&b.out[0]))
	*head = fuse.OutHeader{Length: uint32(whole), Unique: in.Unique}
	off := int64(in.Offset)
	if _, err := unix.Write(b.pipe[1], b.out[:answerHead]); err == nil {
		got, err := unix.Splice(int(h.fd.Load()), &off, b.pipe[1], nil, int(in.Size), 0)
		if err == nil && got == int64(in.Size) {
			if _, err := unix.Splice(b.pipe[0], nil, l.fd, nil, whole, 0); err == nil {
				return true
			}
		}
	}
	b.closePipe()
	return false
}

// widenReads sets the read-ahead of the union mounted on target. It is a matter
// of speed alone: without the right to (a user namespace) or without sysfs it
// stays as it is.
//
// kernel text: Documentation/ABI/testing/sysfs-class-bdi.
func widenReads(target string) {
	var st unix.Stat_t
	if unix.Stat(target, &st) == nil {
		bdi := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
		os.WriteFile(bdi, []byte(readAheadKB), 0)
	}
}
