package branch

import (
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/unionfs/layertar"
)

// Marks is the way in which one union file system writes deletions into a folder.
type Marks interface {
	// Whiteout says whether the entry marks a deletion, and of which name.
	Whiteout(e fs.FileInfo) (hidden string, ok bool)
	// Opaque says whether the folder name of root hides all that lies below.
	Opaque(root *os.Root, name string) (bool, error)
	// Own says whether an entry is the union file system's own book-keeping.
	Own(name string) bool
}

// Overlay reads the marks of overlayfs.
type Overlay struct {
	UserXattr bool // user.overlay.* in place of trusted.overlay.*
}

// Whiteout is a character device 0:0.
func (Overlay) Whiteout(e fs.FileInfo) (string, bool) {
	st, ok := e.Sys().(*statT)
	return e.Name(), ok && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// Opaque is the attribute trusted.overlay.opaque with the value "y". The value
// "x" (Linux 6.8) says that whiteouts stored as attributes are inside, not that
// the folder is opaque.
func (o Overlay) Opaque(root *os.Root, name string) (bool, error) {
	attr := "trusted.overlay.opaque"
	if o.UserXattr {
		attr = "user.overlay.opaque"
	}
	f, err := root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var value [1]byte
	n, err := unix.Fgetxattr(int(f.Fd()), attr, value[:])
	return err == nil && n == 1 && value[0] == 'y', nil
}

// Own is never true: overlayfs keeps its files in workdir.
func (Overlay) Own(string) bool { return false }

// AUFS reads the marks of AUFS.
type AUFS struct{}

// Whiteout is a file named .wh.NAME.
func (AUFS) Whiteout(e fs.FileInfo) (string, bool) {
	hidden, ok := strings.CutPrefix(e.Name(), layertar.WhiteoutPrefix)
	return hidden, ok && !strings.HasPrefix(e.Name(), ownPrefix)
}

// Opaque is a file named .wh..wh..opq in the folder.
func (AUFS) Opaque(root *os.Root, name string) (bool, error) {
	_, err := root.Lstat(name + "/" + layertar.OpaqueMarker)
	return err == nil, nil
}

// ownPrefix is a whiteout of a whiteout's name, which no user file can have.
const ownPrefix = ".wh..wh."

// Own are .wh..wh.aufs, .wh..wh.plnk, .wh..wh.orph and the opaque mark, which
// is asked for with Opaque.
func (AUFS) Own(name string) bool { return strings.HasPrefix(name, ownPrefix) }
