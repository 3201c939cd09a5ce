package aufs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// A FUSE file system cannot appear in /sys/fs/aufs and learns nothing of
// mount -o remount. Both go through ioctl(2) on the root folder instead, which
// works from every mount namespace that sees the union and needs no file on
// the side.
//
// A message is ctlSize bytes both ways: a number, then text. For ctlState the
// number is an offset into the state (JSON), for ctlRemount the answer's
// number is an errno.
const (
	ctlSize = 16 << 8 // at most 16383: the size has 14 bits in an ioctl number

	ctlState   = 3<<30 | ctlSize<<16 | 'A'<<8 | 1 // _IOWR('A', 1, [ctlSize]byte)
	ctlRemount = 3<<30 | ctlSize<<16 | 'A'<<8 | 2
)

// Ioctl answers IOCTL.
func (fs *FS) Ioctl(_ <-chan struct{}, in *fuse.IoctlIn, msg []byte, _ *fuse.IoctlOut, answer []byte) fuse.Status {
	if in.NodeId != rootID || len(msg) != ctlSize || len(answer) != ctlSize {
		return fuse.Status(unix.ENOTTY)
	}
	switch in.Cmd {
	case ctlState:
		s := fs.State()
		s.PID = os.Getpid()
		text, err := json.Marshal(s)
		if err != nil {
			return fuse.EIO
		}
		from := min(int(binary.NativeEndian.Uint32(msg)), len(text))
		pack(answer, 0, string(text[from:]))
		return fuse.OK
	case ctlRemount:
		if in.Uid != 0 {
			return fuse.EPERM
		}
		errno, text := uint32(0), ""
		if err := fs.remount(unpack(msg), fmt.Sprintf("/proc/%d/root", in.Pid)); err != nil {
			errno, text = uint32(errnoNumber(err)), err.Error()
		}
		pack(answer, errno, text)
		return fuse.OK
	}
	return fuse.Status(unix.ENOTTY)
}

func pack(msg []byte, number uint32, text string) {
	clear(msg)
	binary.NativeEndian.PutUint32(msg, number)
	copy(msg[4:len(msg)-1], text)
}

func unpack(msg []byte) string {
	text, _, _ := bytes.Cut(msg[4:], []byte{0})
	return string(text)
}

// errnoNumber is the errno that an error carries, EIO if none.
func errnoNumber(err error) syscall.Errno {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return unix.EIO
}

// control sends a message to the server behind target.
func control(target string, cmd uintptr, number uint32, text string) (uint32, string, error) {
	f, err := os.Open(target)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	msg := make([]byte, ctlSize)
	pack(msg, number, text)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), cmd, uintptr(unsafe.Pointer(&msg[0]))); errno != 0 {
		return 0, "", fmt.Errorf("ioctl on %s: %w", target, errno)
	}
	return binary.NativeEndian.Uint32(msg), unpack(msg), nil
}

// askState asks the server behind target for its state, piece by piece.
func askState(target string) (s State, err error) {
	var text []byte
	for {
		_, piece, err := control(target, ctlState, uint32(len(text)), "")
		if err != nil {
			return s, err
		}
		if text = append(text, piece...); len(piece) < ctlSize-5 {
			break
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("state of the union on %s: %w", target, err)
	}
	return s, nil
}

// answersAsAufs tells whether path lies in a union of ours.
func answersAsAufs(path string) bool {
	_, _, err := control(path, ctlState, 0, "")
	return err == nil
}

// askRemount sends branch actions to the server behind target.
func askRemount(target, text string) error {
	if len(text) > ctlSize-5 {
		return fmt.Errorf("remount of %s: %d bytes of options, %d is the limit: %w", target, len(text), ctlSize-5, unix.E2BIG)
	}
	errno, reason, err := control(target, ctlRemount, 0, text)
	if err == nil && errno != 0 {
		err = fmt.Errorf("remount of %s with %q: %s: %w", target, text, reason, syscall.Errno(errno))
	}
	return err
}
