package aufs

import (
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// handle is an open file. Its descriptor changes when the file is copied up.
type handle struct {
	n      *node
	flags  int // access mode and O_DIRECT, for opening the copy
	fd     atomic.Int32
	old    []int // descriptors of before the copy-up; guarded by FS.mu
	passes bool  // the kernel reads and writes the branch's file itself
}

func (h *handle) writes() bool { return h.flags&unix.O_ACCMODE != unix.O_RDONLY }

// self is the way to the file by its descriptor.
func (h *handle) self() spot { return namelessSpot(int(h.fd.Load())) }

// Open answers OPEN. Opening for writing copies nothing: the first write does.
// That keeps "touch nothing" programs, such as editors that only look, cheap.
func (fs *FS) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := fs.node(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	return fs.open(n, in.Flags, in.Mode, out)
}

func (fs *FS) open(n *node, flags, how uint32, out *fuse.OpenOut) fuse.Status {
	if fs.copiesOnOpen(n) {
		if _, err := fs.copyUp(&job{n: n, upTo: whole}); err != nil && err != unix.EROFS {
			return status(err)
		}
	}
	cut := flags&unix.O_TRUNC != 0
	copied := false
	err := fs.materialise(n)
	if err == nil && cut {
		copied, err = fs.makeWritable(n, true, 0)
	}
	if err != nil {
		return status(err)
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	s, err := fs.spot(n)
	if err != nil {
		return status(err)
	}
	if cut {
		if err := truncate(s, 0, copied); err != nil {
			return status(err)
		}
		if how&fuse.OPEN_KILL_SUIDGID != 0 {
			dropSetID(s)
		}
	}
	fd, err := fs.openBranch(n, s, flags)
	if err != nil {
		return status(err)
	}
	return status(fs.newHandle(n, fd, flags, out))
}

// copiesOnOpen tells whether the branch wants copy-up at open (coo_reg, coo_all).
func (fs *FS) copiesOnOpen(n *node) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	p := n.top().perm
	return p.Has("coo_all") || p.Has("coo_reg") && n.kind == unix.S_IFREG
}

// openBranch opens the file in its branch. In a read-only branch it is opened
// for reading whatever was asked for; a write makes the copy that takes it.
func (fs *FS) openBranch(n *node, s spot, flags uint32) (int, error) {
	mode := int(flags) & (unix.O_ACCMODE | unix.O_DIRECT)
	if !fs.settled(n) {
		mode = unix.O_RDONLY | int(flags)&unix.O_DIRECT
	}
	fd, err := unix.Openat(s.dirfd, s.path, mode|unix.O_CLOEXEC|s.openNofollow(), 0)
	if err == nil && mode&unix.O_DIRECT != 0 {
		// The branch can do it, that was the question. The data comes through
		// buffers that are not aligned as O_DIRECT wants them.
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, mode&^unix.O_DIRECT)
	}
	return fd, err
}

// newHandle registers an open file and tells the kernel how to use it. It
// owns fd from here on.
func (fs *FS) newHandle(n *node, fd int, flags uint32, out *fuse.OpenOut) error {
	if n == nil {
		unix.Close(fd)
		return unix.ESTALE
	}
	h := &handle{n: n, flags: int(flags) & unix.O_ACCMODE}
	h.fd.Store(int32(fd))
	fs.startPassthrough(h, out)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.nextFh++
	out.Fh = fs.nextFh
	fs.handles[out.Fh] = h
	n.handles[h] = true
	// Cached pages stay valid over closing and opening: the kernel drops them
	// itself when size or time of the file turn out to be other ones.
	if !h.passes {
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
	}
	return nil
}

func (fs *FS) handle(fh uint64) *handle {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.handles[fh]
}

// Release answers RELEASE, the last close.
func (fs *FS) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	fs.mu.Lock()
	h := fs.handles[in.Fh]
	if h == nil {
		fs.mu.Unlock()
		return
	}
	delete(fs.handles, in.Fh)
	delete(h.n.handles, h)
	fs.prune(h.n)
	fs.mu.Unlock()
	fs.stopPassthrough(h)
	unix.Close(int(h.fd.Load()))
	for _, fd := range h.old {
		unix.Close(fd)
	}
}

// Write answers WRITE. The first one to a lower file copies it up.
func (fs *FS) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h := fs.handle(in.Fh)
	if h == nil {
		return 0, fuse.EBADF
	}
	if len(data) == 0 {
		return 0, fuse.OK
	}
	if _, err := fs.makeWritable(h.n, false, 0); err != nil {
		return 0, status(err)
	}
	n, err := pwriteAll(int(h.fd.Load()), data, int64(in.Offset))
	if n == 0 && err != nil {
		return 0, status(err)
	}
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		dropSetID(h.self())
	}
	return uint32(n), fuse.OK
}

func pwriteAll(fd int, data []byte, off int64) (done int, err error) {
	for done < len(data) {
		n, err := unix.Pwrite(fd, data[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Flush answers FLUSH, sent at each close. There is nothing to do: writes are
// in the branch already. ENOSYS tells the kernel not to ask again.
func (fs *FS) Flush(_ <-chan struct{}, _ *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// Fsync answers FSYNC. As with the module, on a file open for writing it
// copies up.
func (fs *FS) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h := fs.handle(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	if h.writes() {
		if _, err := fs.makeWritable(h.n, false, 0); err != nil {
			return status(err)
		}
	}
	if in.FsyncFlags&1 != 0 {
		return status(unix.Fdatasync(int(h.fd.Load())))
	}
	return status(unix.Fsync(int(h.fd.Load())))
}

// Fallocate answers FALLOCATE.
func (fs *FS) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	h := fs.handle(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	if _, err := fs.makeWritable(h.n, false, 0); err != nil {
		return status(err)
	}
	return status(unix.Fallocate(int(h.fd.Load()), in.Mode, int64(in.Offset), int64(in.Length)))
}

// Lseek answers LSEEK: the search for data and holes.
func (fs *FS) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	h := fs.handle(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	off, err := unix.Seek(int(h.fd.Load()), int64(in.Offset), int(in.Whence))
	out.Offset = uint64(off)
	return status(err)
}

// CopyFileRange answers COPY_FILE_RANGE, so that branches that share extents
// do so.
func (fs *FS) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	src, dst := fs.handle(in.FhIn), fs.handle(in.FhOut)
	if src == nil || dst == nil {
		return 0, fuse.EBADF
	}
	if _, err := fs.makeWritable(dst.n, false, 0); err != nil {
		return 0, status(err)
	}
	from, to := int64(in.OffIn), int64(in.OffOut)
	size := int(min(in.Len, 1<<30))
	n, err := unix.CopyFileRange(int(src.fd.Load()), &from, int(dst.fd.Load()), &to, size, int(in.Flags))
	return uint32(max(n, 0)), status(err)
}

// Readlink answers READLINK.
func (fs *FS) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	s, unlock, err := fs.spotOf(h.NodeId)
	defer unlock()
	if err != nil {
		return nil, status(err)
	}
	if s.nameless {
		s.dirfd, s.path = s.fd, "" // the object itself, not the /proc link to it
	}
	to, err := readlinkAt(s.dirfd, s.path)
	return []byte(to), status(err)
}

func readlinkAt(dirfd int, path string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dirfd, path, buf)
	return string(buf[:max(n, 0)]), err
}
