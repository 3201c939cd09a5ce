package dmthin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Control is the open control file of the device mapper. It holds no state but
// the file: all questions go to the kernel.
type Control struct {
	file  *os.File
	nodes string
}

// Open opens <dev>/mapper/control, which also loads the driver where it is a
// module. It then asks for the version (DM_VERSION): the node can be there without
// the driver.
//
// Device nodes are made in the folder nodes, which must exist. It should be in /dev,
// in a folder of its own or /dev/mapper, where udev and dmsetup(8) make theirs: most
// other file systems, /run and /tmp too, are mounted with nodev, which makes nodes
// useless.
func Open(dev, nodes string) (*Control, error) {
	if err := allowsNodes(nodes); err != nil {
		return nil, err
	}
	path := filepath.Join(dev, "mapper/control")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, &Error{Verb: "open", Detail: path, Err: errors.Unwrap(err)}
	}
	c := &Control{file: file, nodes: nodes}
	if _, err := c.Version(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// allowsNodes asks whether device nodes in a folder can be opened (statfs(2)).
func allowsNodes(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return &Error{Verb: "nodes", Detail: dir, Err: err}
	}
	if fs.Flags&unix.ST_NODEV != 0 {
		return &Error{Verb: "nodes", Detail: dir, Err: unix.EACCES}
	}
	return nil
}

// Close closes the control file. Devices stay.
func (c *Control) Close() error { return c.file.Close() }

// A Version is the kernel's, of the driver or of a target.
type Version struct{ Major, Minor, Patch uint32 }

// String is "4.47.0".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Version asks the driver for its own (ioctl DM_VERSION).
func (c *Control) Version() (Version, error) {
	r, err := c.call("version", unix.DM_VERSION, request{})
	return Version{r.head.Version[0], r.head.Version[1], r.head.Version[2]}, err
}

// request is what goes into one ioctl. A device is named by name or by UUID,
// never both, but for create.
type request struct {
	name, uuid string
	flags      uint32
	targets    uint32
	payload    []byte
}

// reply is what the kernel wrote over it.
type reply struct {
	head    unix.DmIoctl
	payload []byte
}

// The reply is written over the request, so room must be made before anything is
// known of its size. A guess that was too small comes back with
// DM_BUFFER_FULL_FLAG and nothing else changed, and we ask again with more.
const (
	firstRoom = 4 << 10
	mostRoom  = 16 << 20
)

// call performs one ioctl on the control file (include/uapi/linux/dm-ioctl.h).
func (c *Control) call(verb string, number uintptr, q request) (reply, error) {
	if err := q.check(); err != nil {
		return reply{}, &Error{Verb: verb, Device: q.device(), Err: err}
	}
	for room := firstRoom; ; room *= 4 {
		buf := q.encode(room)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, c.file.Fd(), number, uintptr(unsafe.Pointer(&buf[0])))
		if errno != 0 {
			return reply{}, &Error{Verb: verb, Device: q.device(), Err: errno}
		}
		r := decode(buf)
		if r.head.Flags&unix.DM_BUFFER_FULL_FLAG == 0 {
			return r, nil
		}
		if room >= mostRoom {
			return reply{}, &Error{Verb: verb, Device: q.device(), Detail: "the answer is over 16 MiB", Err: unix.EOVERFLOW}
		}
	}
}

func (q request) device() string {
	if q.name == "" {
		return q.uuid
	}
	return q.name
}

// check refuses what would be cut off in the header's fixed fields, and so would
// name another device.
func (q request) check() error {
	var head unix.DmIoctl
	if len(q.name) >= len(head.Name) || len(q.uuid) >= len(head.Uuid) {
		return fmt.Errorf("a name has up to %d bytes, a UUID up to %d: %w", len(head.Name)-1, len(head.Uuid)-1, unix.ENAMETOOLONG)
	}
	return nil
}

// encode lays out header, payload and free room. The buffer is of words, since
// the kernel wants the header aligned.
func (q request) encode(room int) []byte {
	words := make([]uint64, (unix.SizeofDmIoctl+len(q.payload)+room+7)/8)
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	head := (*unix.DmIoctl)(unsafe.Pointer(&words[0]))
	// The major version must be the kernel's, the minor not above it: 4.0.0 suits all.
	head.Version = [3]uint32{unix.DM_VERSION_MAJOR, 0, 0}
	head.Data_size = uint32(len(buf))
	head.Data_start = unix.SizeofDmIoctl
	head.Target_count = q.targets
	head.Flags = q.flags
	copy(head.Name[:], q.name)
	copy(head.Uuid[:], q.uuid)
	copy(buf[unix.SizeofDmIoctl:], q.payload)
	return buf
}

// decode takes the header and the payload out again, with bounds that are ours:
// data_start and data_size were written by the kernel, but a buffer is a buffer.
func decode(buf []byte) reply {
	head := *(*unix.DmIoctl)(unsafe.Pointer(&buf[0]))
	start, end := int64(head.Data_start), int64(head.Data_size)
	if start < unix.SizeofDmIoctl || start > int64(len(buf)) {
		start = unix.SizeofDmIoctl
	}
	if end < start || end > int64(len(buf)) {
		end = int64(len(buf))
	}
	return reply{head, buf[start:end]}
}

var order = binary.NativeEndian
