package aufs

import (
	"fmt"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// status turns an error into the number that FUSE sends to the kernel.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	return fuse.Status(errnoNumber(err))
}

// spot is where a node's object can be reached by the *at system calls.
type spot struct {
	b        *branch // nil for a nameless object
	dirfd    int
	path     string
	fd       int  // the descriptor of a nameless object
	nameless bool // path is a /proc/self/fd link, to be followed
}

// namelessSpot reaches an object by a descriptor alone.
func namelessSpot(fd int) spot {
	return spot{dirfd: unix.AT_FDCWD, path: fmt.Sprintf("/proc/self/fd/%d", fd), fd: fd, nameless: true}
}

func (s spot) nofollow() int {
	if s.nameless {
		return 0
	}
	return unix.AT_SYMLINK_NOFOLLOW
}

func (s spot) stat() (st unix.Stat_t, err error) {
	err = unix.Fstatat(s.dirfd, s.path, &st, s.nofollow())
	return st, err
}

// spot finds the node's object: by pseudo-link, by name, or, for one that was
// unlinked while in use, through the descriptor kept for that. (Not through an
// open file's: that may be closed at any moment.) fs.tree is held.
func (fs *FS) spot(n *node) (spot, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n.plink != nil {
		return spot{b: n.plink.b, dirfd: n.plink.b.fd, path: n.plink.path}, nil
	}
	if path, ok := n.path(); ok {
		return spot{b: n.top(), dirfd: n.top().fd, path: path}, nil
	}
	if n.keep >= 0 {
		return namelessSpot(n.keep), nil
	}
	return spot{}, unix.ESTALE
}

// stat reads the attributes that the union shows. f, if not nil, holds what a
// lookup has just read.
func (fs *FS) stat(n *node, f *found) (st unix.Stat_t, err error) {
	if n.isDir() {
		return fs.statDir(n, f)
	}
	fs.mu.Lock()
	pl := n.plink
	fs.mu.Unlock()
	if f != nil && pl == nil {
		return f.st, nil
	}
	s, err := fs.spot(n)
	if err == unix.ESTALE {
		st, err = n.gone, nil
		st.Nlink = 0
		return st, nil
	}
	if err == nil {
		st, err = s.stat()
	}
	if pl != nil {
		setLinks(&st.Nlink, pl.nlink)
	}
	return st, err
}

// setLinks sets a link count, whose width depends on the processor.
func setLinks[T uint32 | uint64](field *T, n uint64) { *field = T(n) }

// statDir shows the topmost layer's attributes, and as link count the sum of
// all layers: each counts itself and its "." once too often.
func (fs *FS) statDir(n *node, f *found) (st unix.Stat_t, err error) {
	layers, dir, err := fs.place(n)
	if err == unix.ESTALE {
		return n.gone, nil
	}
	if err != nil {
		return st, err
	}
	if f != nil {
		st = f.st
	} else if st, err = layers[0].lstat(dir); err != nil {
		return st, err
	}
	links, counted := st.Nlink, st.Nlink >= 2
	for _, b := range layers[1:] {
		low, err := b.lstat(dir)
		if err == nil {
			links += low.Nlink - 2
			counted = counted && low.Nlink >= 2
		}
	}
	if st.Nlink = links; !counted {
		st.Nlink = 1 // some file systems do not count: nor do we
	}
	return st, nil
}

// fill writes attributes in FUSE's shape, under the union's inode number.
func (fs *FS) fill(a *fuse.Attr, n *node, st *unix.Stat_t) {
	a.Ino, a.Mode, a.Nlink = n.ino, st.Mode, uint32(st.Nlink)
	a.Uid, a.Gid, a.Rdev = st.Uid, st.Gid, uint32(st.Rdev)
	a.Size, a.Blocks, a.Blksize = uint64(st.Size), uint64(st.Blocks), uint32(st.Blksize)
	a.Atime, a.Atimensec = uint64(st.Atim.Sec), uint32(st.Atim.Nsec)
	a.Mtime, a.Mtimensec = uint64(st.Mtim.Sec), uint32(st.Mtim.Nsec)
	a.Ctime, a.Ctimensec = uint64(st.Ctim.Sec), uint32(st.Ctim.Nsec)
}

// GetAttr answers GETATTR.
func (fs *FS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	n := fs.node(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	return status(fs.replyAttr(n, out))
}

func (fs *FS) replyAttr(n *node, out *fuse.AttrOut) error {
	st, err := fs.stat(n, nil)
	if err != nil {
		return err
	}
	fs.fill(&out.Attr, n, &st)
	out.SetTimeout(fs.cacheTime())
	return nil
}

// SetAttr answers SETATTR: chmod, chown, truncate, utimes. Even a change to
// the value that is there already copies up.
func (fs *FS) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := fs.node(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	size, cut := in.GetSize()
	copied, err := fs.makeWritable(n, cut, size)
	if err != nil {
		return status(err)
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	s, err := fs.spot(n)
	if err == nil {
		err = fs.change(n, s, in, copied)
	}
	if err == nil {
		err = fs.replyAttr(n, out)
	}
	return status(err)
}

// change does what a SETATTR asks for. Owner before mode: chown(2) clears the
// set-id bits that a chmod in the same request wants.
func (fs *FS) change(n *node, s spot, in *fuse.SetAttrIn, copied bool) error {
	if err := fs.changeOwner(s, in); err != nil {
		return err
	}
	if mode, ok := in.GetMode(); ok {
		if mode&0o6000 != 0 && fs.passesWrites(n) {
			// The kernel would not clear the bits on a write that bypasses us.
			return unix.ETXTBSY
		}
		if err := unix.Fchmodat(s.dirfd, s.path, mode, 0); err != nil {
			return err
		}
	}
	if size, ok := in.GetSize(); ok {
		if err := truncate(s, int64(size), copied); err != nil {
			return err
		}
		if in.Valid&fuse.FATTR_KILL_SUIDGID != 0 {
			dropSetID(s)
		}
	}
	return changeTimes(s, in)
}

func (fs *FS) changeOwner(s spot, in *fuse.SetAttrIn) error {
	uid, okUID := in.GetUID()
	gid, okGID := in.GetGID()
	if !okUID && !okGID {
		return nil
	}
	u, g := -1, -1
	if okUID {
		u = int(uid)
	}
	if okGID {
		g = int(gid)
	}
	return unix.Fchownat(s.dirfd, s.path, u, g, s.nofollow())
}

// truncate cuts a file. A file copied up only to be emptied keeps its times:
// it was made empty, and truncate(2) to the same size changes nothing on most
// branches. ftruncate(2) sets the times always.
func truncate(s spot, size int64, copied bool) error {
	fd, err := unix.Openat(s.dirfd, s.path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|s.openNofollow(), 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if copied && size == 0 {
		return unix.Truncate(fmt.Sprintf("/proc/self/fd/%d", fd), 0)
	}
	return unix.Ftruncate(fd, size)
}

func (s spot) openNofollow() int {
	if s.nameless {
		return 0
	}
	return unix.O_NOFOLLOW
}

// dropSetID does what a write by an ordinary user does to set-id bits. The
// group bit goes only where it means set-group-id (the group may execute).
func dropSetID(s spot) {
	st, err := s.stat()
	if err != nil || st.Mode&0o6000 == 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	mode := st.Mode &^ 0o4000
	if mode&0o010 != 0 {
		mode &^= 0o2000
	}
	unix.Fchmodat(s.dirfd, s.path, mode&0o7777, 0)
}

func changeTimes(s spot, in *fuse.SetAttrIn) error {
	at, okA := in.GetATime()
	mt, okM := in.GetMTime()
	if !okA && !okM {
		return nil
	}
	ts := []unix.Timespec{timespec(at, okA), timespec(mt, okM)}
	return unix.UtimesNanoAt(s.dirfd, s.path, ts, s.nofollow())
}

func timespec(t time.Time, given bool) unix.Timespec {
	if !given {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.NsecToTimespec(t.UnixNano())
}
