package aufs

import (
	"fmt"
	"os"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hanwen/go-fuse/v2/splice"
	"golang.org/x/sys/unix"
)

// What one READ costs, whatever its size, is the way to the server and back.
// So long reads are made longer (widenReads), and their data is not copied to
// us on its way (spliceFrom). Files in a rw branch need neither: see
// passthrough.go.

// readAheadKB is how far the kernel reads ahead in a file of the union, and so
// the size of the reads that it asks us for. Its own choice is 128. A pipe
// takes 1024 at most (/proc/sys/fs/pipe-max-size), with the header of the
// answer, in a power of two.
const readAheadKB = "512"

// spliceFrom is the size from which an answer goes through a pipe, which the
// pages of the branch's file are hung into: two copies fewer for six system
// calls more.
const spliceFrom = 256 << 10

// Read answers READ: a long one by naming the descriptor to read from, a short
// one with the data.
func (fs *FS) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h := fs.handle(in.Fh)
	if h == nil {
		return nil, fuse.EBADF
	}
	fd := int(h.fd.Load())
	if in.Size >= spliceFrom {
		return fuse.ReadResultFd(uintptr(fd), int64(in.Offset), int(in.Size)), fuse.OK
	}
	n, err := unix.Pread(fd, buf, int64(in.Offset))
	if err != nil {
		return nil, status(err)
	}
	// A vector, since go-fuse would try the pipe with everything else.
	return fuse.ReadResultVector([][]byte{buf[:n]}), fuse.OK
}

// primeSplice makes go-fuse open /dev/null, which it empties pipes into, while
// there is one: the server's own root has no /dev.
func primeSplice() {
	if pair, err := splice.Get(); err == nil {
		splice.Done(pair)
	}
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
