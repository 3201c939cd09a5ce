package aufs

import (
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// putMark makes a whiteout or an opaque mark: a hard link of the base file, so
// that a million of them cost one inode. One that is there already is good.
func (w *worker) putMark(path string) error {
	if w.b.perm.Has("nolwh") {
		return w.putOwnMark(path)
	}
	err := unix.Linkat(w.b.fd, whBase, w.b.fd, path, 0)
	switch err {
	case unix.EEXIST:
		return nil
	case unix.EMLINK:
		// The base has as many links as the file system allows: this mark is a
		// file of its own, later ones are links of a new base.
		if err := w.putOwnMark(path); err != nil {
			return err
		}
		return w.b.renewBase()
	case unix.ENOENT:
		// Somebody removed the base from the branch. Make it again, once.
		if w.b.makeBase() == nil {
			return ignoreExisting(unix.Linkat(w.b.fd, whBase, w.b.fd, path, 0))
		}
	}
	return err
}

// putOwnMark makes a mark that is no hard link. It belongs to the caller.
func (w *worker) putOwnMark(path string) error {
	fd, err := unix.Openat(w.b.fd, path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return ignoreExisting(err)
	}
	defer unix.Close(fd)
	if w.uid|w.gid == 0 {
		return nil
	}
	return unix.Fchown(fd, w.uid, w.gid)
}

// renewBase puts a new inode in the base file's place. Old marks keep the old.
func (b *branch) renewBase() error {
	name := tempName()
	fd, err := unix.Openat(b.orph, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return unix.Renameat(b.orph, name, b.fd, whBase)
}

func ignoreExisting(err error) error {
	if err == unix.EEXIST {
		return nil
	}
	return err
}

// tempPrefix marks our temporary names in the orphan folder: recover removes
// those and nothing else.
const tempPrefix = "cutaway."

func tempName() string { return fmt.Sprintf("%s%016x", tempPrefix, rand.Uint64()) }

// tempBeside is a temporary name for the folder of the final one. It starts as
// a whiteout does, so that nobody sees it.
func tempBeside() string { return fmt.Sprintf("%s%08x.%s", whTempPre, rand.Uint32(), "tmp") }
