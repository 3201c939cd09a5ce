package rootfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenRoot takes a folder as the root, such as "/" in a joined container.
func OpenRoot(path string) (*Root, error) {
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Root{dir}, nil
}

// OpenMaster makes a new terminal in the container's devpts, by its ptmx, and
// makes sure that it is that device and nothing an image put there.
func (r *Root) OpenMaster() (*os.File, error) {
	place, err := r.Open("/dev/ptmx", unix.O_PATH)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(int(place.Fd()), &st)
	place.Close()
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(5, 2) {
		return nil, fmt.Errorf("/dev/ptmx is not the terminal multiplexer 5:2; mount devpts at /dev/pts")
	}
	return r.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY)
}

// BindConsole makes /dev/console the given terminal.
func (r *Root) BindConsole(slave *os.File) error {
	tree, err := cloneAt(int(slave.Fd()), "", false)
	if err != nil {
		return fmt.Errorf("/dev/console: %w", err)
	}
	defer tree.Close()
	target, err := r.CreateFile("/dev/console")
	if err != nil {
		return err
	}
	defer target.Close()
	return attach(tree, target)
}
