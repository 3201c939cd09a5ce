package aufs

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// kernel is the way back: things that the server tells the kernel unasked.
type kernel struct {
	server *fuse.Server // nil before the mount
	fd     int          // /dev/fuse, for the message that go-fuse cannot send
	noPass atomic.Bool  // passthrough turned out not to work
}

// Init is called by go-fuse once the kernel has introduced itself.
func (fs *FS) Init(server *fuse.Server) {
	fs.kernel.server = server
	if server.KernelSettings().Flags64()&fuse.CAP_PASSTHROUGH == 0 {
		fs.kernel.noPass.Store(true)
	}
}

func (k *kernel) passthrough() bool { return k.server != nil && !k.noPass.Load() }

// register makes the file behind fd a backing file.
func (k *kernel) register(fd int) (id int32, ok bool) {
	id, errno := k.server.RegisterBackingFd(&fuse.BackingMap{Fd: int32(fd)})
	if errno == 0 {
		return id, true
	}
	if errno == unix.EPERM || errno == unix.EOPNOTSUPP || errno == unix.ELOOP {
		k.noPass.Store(true) // no right to it (user namespace), or a stacked branch: never
	}
	return 0, false
}

func (k *kernel) unregister(id int32) { k.server.UnregisterBackingFd(id) }

// attrsChanged makes the kernel forget the attributes of folders that a
// copy-up changed by the way. Call it without locks.
func (k *kernel) attrsChanged(nodes []*node) { k.forget(nodes, -1) }

// listsChanged makes it forget what is in the folders as well.
func (k *kernel) listsChanged(nodes []*node) { k.forget(nodes, 0) }

// forget sends FUSE_NOTIFY_INVAL_INODE; a negative offset spares the content.
func (k *kernel) forget(nodes []*node, offset int64) {
	if k.server == nil {
		return
	}
	for _, n := range nodes {
		k.server.InodeNotify(n.id, offset, 0)
	}
}

// expireNames makes the kernel ask again for every name (FUSE_NOTIFY_INC_EPOCH,
// Linux 6.16). It does not tear down mounts below the union, as invalidating
// single names would. ok is false on an older kernel.
func (k *kernel) expireNames() (ok bool) {
	if k.server == nil {
		return true
	}
	msg := make([]byte, 16) // fuse_out_header: length, code, unique 0
	code := int32(fuse.NOTIFY_INC_EPOCH)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint32(msg[4:], uint32(-code))
	n, err := unix.Write(k.fd, msg)
	return err == nil && n == len(msg)
}
