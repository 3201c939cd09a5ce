package volumedemo

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// openIn opens a path below a root without ever leaving it (openat2(2), Linux
// 5.6): absolute symlinks and ".." stop at the root, and links such as
// /proc/PID/root are refused. The descriptor (O_PATH) then is the place, whatever
// is renamed afterwards.
func openIn(root, path string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	path = strings.TrimLeft(path, "/")
	if path == "" {
		path = "."
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(dir, path, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path), nil
		case unix.EAGAIN, unix.EINTR:
			continue // something was renamed or mounted during the walk: ask again
		}
		return nil, &os.PathError{Op: "openat2(RESOLVE_IN_ROOT)", Path: fmt.Sprintf("%s in %s", path, root), Err: err}
	}
}

// asRoot is the opened folder as an os.Root, which keeps to it likewise.
func asRoot(f *os.File) (*os.Root, error) {
	return os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
