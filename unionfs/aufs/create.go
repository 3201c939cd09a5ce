package aufs

import (
	"fmt"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// room is the place for a new object.
type room struct {
	at      entry
	b       *branch
	path    string
	whited  bool    // a whiteout of the name is in b, and has to go
	changed []*node // folders that were copied up for it
}

// roomFor finds the place for a new object called name in p: the name must be
// free, and the folder is copied up. fs.tree is held for writing.
func (fs *FS) roomFor(p *node, name string) (r room, err error) {
	if err := checkName(name); err != nil {
		return r, err
	}
	f, err := fs.find(p, name)
	if err == nil {
		return r, unix.EEXIST
	}
	if err != unix.ENOENT {
		return r, err
	}
	if r.b, err = fs.forNew(p); err != nil {
		return r, err
	}
	r.at, r.whited = entry{p, name}, f.hidden == r.b
	if r.changed, err = fs.ensureDir(p, r.b); err != nil {
		return r, err
	}
	_, r.path, err = fs.placeName(r.at)
	return r, err
}

// make makes the object with the given function and puts it at its place. An
// object that needs more than one system call (an owner, a mark inside, a
// whiteout to be removed) is made under a hidden name beside its place, where
// set-group-id folders and default ACLs have their usual effect, and moved.
func (fs *FS) make(r room, who fuse.Caller, marked bool, object func(dirfd int, path string) error) error {
	own := who.Uid != 0 || who.Gid != 0
	if !own && !r.whited && !marked {
		return object(r.b.fd, r.path)
	}
	dir, _ := splitPath(r.path)
	tmp := joinPath(dir, tempBeside())
	if err := object(r.b.fd, tmp); err != nil {
		return err
	}
	w := &worker{b: r.b, uid: int(who.Uid), gid: int(who.Gid)}
	err := error(nil)
	if own {
		err = r.b.giveTo(dir, tmp, who)
	}
	if err == nil && marked {
		err = w.commit(step{verb: opaque, path: tmp})
	}
	if err == nil {
		steps := []step{{verb: move, path: tmp, to: r.path}}
		if r.whited {
			steps = append(steps, step{verb: show, path: r.path})
		}
		err = w.commit(steps...)
	}
	if err != nil {
		removeTree(r.b.fd, tmp)
	}
	return err
}

// giveTo makes the caller the owner. In a set-group-id folder the group is the
// folder's, and the branch has set it already.
func (b *branch) giveTo(dir, path string, who fuse.Caller) error {
	gid := int(who.Gid)
	if st, err := b.lstat(dir); err == nil && st.Mode&unix.S_ISGID != 0 {
		gid = -1
	}
	before, err := b.lstat(path)
	if err != nil {
		return err
	}
	if err := unix.Fchownat(b.fd, path, int(who.Uid), gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if before.Mode&0o6000 != 0 { // chown cleared what was asked for
		return unix.Fchmodat(b.fd, path, before.Mode&0o7777, 0)
	}
	return nil
}

// masked applies the caller's umask, unless the folder has a default ACL: that
// then decides, by way of the branch.
func (r room) masked(mode, umask uint32) uint32 {
	dir, _ := splitPath(r.path)
	if umask&mode == 0 {
		return mode
	}
	if _, err := unix.Lgetxattr(r.b.proc(dir), "system.posix_acl_default", nil); err == nil {
		return mode
	}
	return mode &^ umask
}

// newObject is what mknod, mkdir and symlink have in common.
func (fs *FS) newObject(h *fuse.InHeader, name string, out *fuse.EntryOut, isDir bool, object func(r room, dirfd int, path string) error) fuse.Status {
	fs.tree.Lock()
	changed, err := fs.newObjectLocked(h, name, out, isDir, object)
	fs.tree.Unlock()
	fs.kernel.attrsChanged(changed)
	return status(err)
}

func (fs *FS) newObjectLocked(h *fuse.InHeader, name string, out *fuse.EntryOut, isDir bool, object func(r room, dirfd int, path string) error) ([]*node, error) {
	p := fs.node(h.NodeId)
	if p == nil {
		return nil, unix.ESTALE
	}
	if err := fs.mayEnter(p, h.Caller, fuse.X_OK); err != nil {
		return nil, err
	}
	r, err := fs.roomFor(p, name)
	if err != nil {
		return r.changed, err
	}
	// A folder made over a whiteout must not show what was deleted.
	marked := isDir && (r.whited || fs.opts.DirOpq == "a")
	err = fs.make(r, h.Caller, marked, func(dirfd int, path string) error { return object(r, dirfd, path) })
	if err != nil {
		return r.changed, err
	}
	return r.changed, fs.replyNew(r, out)
}

// replyNew answers with the object that was just made.
func (fs *FS) replyNew(r room, out *fuse.EntryOut) error {
	st, err := r.b.lstat(r.path)
	if err != nil {
		return err
	}
	return fs.reply(r.at, found{st: st, layers: []*branch{r.b}}, out)
}

// Mkdir answers MKDIR.
func (fs *FS) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return fs.newObject(&in.InHeader, name, out, true, func(r room, dirfd int, path string) error {
		return unix.Mkdirat(dirfd, path, r.masked(in.Mode&0o7777, in.Umask))
	})
}

// Mknod answers MKNOD: devices, pipes, sockets, and plain files.
func (fs *FS) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return fs.newObject(&in.InHeader, name, out, false, func(r room, dirfd int, path string) error {
		return unix.Mknodat(dirfd, path, r.masked(in.Mode, in.Umask), int(in.Rdev))
	})
}

// Symlink answers SYMLINK.
func (fs *FS) Symlink(_ <-chan struct{}, h *fuse.InHeader, to, name string, out *fuse.EntryOut) fuse.Status {
	return fs.newObject(h, name, out, false, func(_ room, dirfd int, path string) error {
		return unix.Symlinkat(to, dirfd, path)
	})
}

// Create answers CREATE: make a file and open it.
func (fs *FS) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	fd := -1
	flags := int(in.Flags)&(unix.O_ACCMODE|unix.O_DIRECT) | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC
	st := fs.newObject(&in.InHeader, name, &out.EntryOut, false, func(r room, dirfd int, path string) (err error) {
		fd, err = unix.Openat(dirfd, path, flags, r.masked(in.Mode&0o7777, in.Umask))
		return err
	})
	switch {
	case st == fuse.Status(unix.EEXIST) && in.Flags&unix.O_EXCL == 0:
		return fs.createExisting(in, name, out)
	case !st.Ok():
		if fd >= 0 {
			unix.Close(fd)
		}
		return st
	}
	return status(fs.newHandle(fs.node(out.NodeId), fd, in.Flags, &out.OpenOut))
}

// createExisting opens a file that another one made since the kernel looked.
func (fs *FS) createExisting(in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if st := fs.Lookup(nil, &in.InHeader, name, &out.EntryOut); !st.Ok() {
		return st
	}
	n := fs.node(out.NodeId)
	if n == nil {
		return fuse.Status(unix.ENOENT)
	}
	st := fs.open(n, in.Flags, in.OpenFlags, &out.OpenOut)
	if !st.Ok() {
		fs.Forget(out.NodeId, 1)
	}
	return st
}

// Tmpfile answers TMPFILE (open with O_TMPFILE): a file without a name, in the
// branch where a new file of the folder would be.
func (fs *FS) Tmpfile(_ <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	fs.tree.Lock()
	n, fd, changed, err := fs.tmpfile(in)
	if err == nil {
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		out.NodeId, out.Generation = n.id, 1
		fs.fill(&out.Attr, n, &st)
	}
	fs.tree.Unlock()
	fs.kernel.attrsChanged(changed)
	if err != nil {
		return status(err)
	}
	return status(fs.newHandle(n, fd, in.Flags, &out.OpenOut))
}

func (fs *FS) tmpfile(in *fuse.CreateIn) (n *node, fd int, changed []*node, err error) {
	p := fs.node(in.NodeId)
	if p == nil {
		return nil, -1, nil, unix.ESTALE
	}
	b, err := fs.forNew(p)
	if err == nil {
		changed, err = fs.ensureDir(p, b)
	}
	if err != nil {
		return nil, -1, changed, err
	}
	_, dir, err := fs.place(p)
	if err != nil {
		return nil, -1, changed, err
	}
	r := room{b: b, path: joinPath(dir, "new")}
	fd, err = unix.Openat(b.fd, dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, r.masked(in.Mode&0o7777, in.Umask))
	if err != nil {
		return nil, -1, changed, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (in.Uid|in.Gid) != 0 {
		err = unix.Fchown(fd, int(in.Uid), int(in.Gid))
	}
	if err != nil {
		unix.Close(fd)
		return nil, -1, changed, err
	}
	keep, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return nil, -1, changed, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.inos, b.inode(&st))
	ino := fs.number(b.inode(&st))
	n = &node{id: ino, ino: ino, kind: unix.S_IFREG, lookups: 1, layers: []*branch{b}, handles: map[*handle]bool{}, keep: keep}
	fs.nodes[ino] = n
	return n, fd, changed, nil
}
