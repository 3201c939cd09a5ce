package aufs

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// kernel is the way back: what the server tells the kernel unasked, by writing
// to /dev/fuse, and what it asks of it, by ioctl(2).
type kernel struct {
	fd     int         // /dev/fuse
	live   bool        // the union is mounted
	noPass atomic.Bool // passthrough does not work here
}

// The requests of ioctl(2) about backing files, from <linux/fuse.h>.
const (
	backingOpen  = 0x4010e501 // FUSE_DEV_IOC_BACKING_OPEN
	backingClose = 0x4004e502 // FUSE_DEV_IOC_BACKING_CLOSE
)

// passthrough tells whether the kernel may be asked to use a branch's file itself.
func (k *kernel) passthrough() bool { return k.live && !k.noPass.Load() }

// register makes the file behind fd a backing file.
func (k *kernel) register(fd int) (id int32, ok bool) {
	file := fuse.BackingMap{Fd: int32(fd)}
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(k.fd), backingOpen, uintptr(unsafe.Pointer(&file)))
	if errno == 0 {
		return int32(n), true
	}
	if errno == unix.EPERM || errno == unix.EOPNOTSUPP || errno == unix.ELOOP {
		k.noPass.Store(true) // no right to it (user namespace), or a stacked branch: never
	}
	return 0, false
}

func (k *kernel) unregister(id int32) {
	unix.Syscall(unix.SYS_IOCTL, uintptr(k.fd), backingClose, uintptr(unsafe.Pointer(&id)))
}

// attrsChanged makes the kernel forget the attributes of folders that a
// copy-up changed by the way. Call it without locks.
func (k *kernel) attrsChanged(nodes []*node) { k.forget(nodes, -1) }

// listsChanged makes it forget what is in the folders as well.
func (k *kernel) listsChanged(nodes []*node) { k.forget(nodes, 0) }

// forget sends FUSE_NOTIFY_INVAL_INODE; a negative offset spares the content.
func (k *kernel) forget(nodes []*node, offset int64) {
	for _, n := range nodes {
		// fuse_notify_inval_inode_out: node, offset, length (0: to the end)
		var what []byte
		what = binary.NativeEndian.AppendUint64(what, n.id)
		what = binary.NativeEndian.AppendUint64(what, uint64(offset))
		what = binary.NativeEndian.AppendUint64(what, 0)
		k.tell(fuse.NOTIFY_INVAL_INODE, what)
	}
}

// expireNames makes the kernel ask again for every name (FUSE_NOTIFY_INC_EPOCH,
// Linux 6.16). It does not tear down mounts below the union, as invalidating
// single names would. ok is false on an older kernel.
func (k *kernel) expireNames() (ok bool) { return k.tell(fuse.NOTIFY_INC_EPOCH, nil) }

// tell sends a notification: an answer that nobody asked for. Its kind stands
// where an answer has its error. Before the mount nobody has to be told.
func (k *kernel) tell(kind int, what []byte) (ok bool) {
	if !k.live {
		return true
	}
	var msg []byte // fuse_out_header: length, error, the request's number
	msg = binary.NativeEndian.AppendUint32(msg, uint32(16+len(what)))
	msg = binary.NativeEndian.AppendUint32(msg, uint32(-kind))
	msg = binary.NativeEndian.AppendUint64(msg, 0)
	n, err := unix.Write(k.fd, append(msg, what...))
	return err == nil && n == 16+len(what)
}
