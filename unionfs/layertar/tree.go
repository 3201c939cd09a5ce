package layertar

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Tree opens files below one folder, never outside of it whatever links are
// in the way.
type Tree struct{ root int }

// OpenTree opens the folder. Finish with Close.
func OpenTree(root string) (*Tree, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open tree %s: %w", root, err)
	}
	return &Tree{fd}, nil
}

// Close lets the folder go.
func (t *Tree) Close() error { return unix.Close(t.root) }

// Open opens a file for reading by openat2(2) with RESOLVE_IN_ROOT: links are
// followed as a process would that has the folder as its root.
func (t *Tree) Open(name string) (*os.File, error) {
	fd, err := openInRoot(t.root, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
