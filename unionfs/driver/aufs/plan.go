package aufs

import (
	"fmt"
	"strings"
)

// A Mounter mounts and unmounts an AUFS. Package unionfs/aufs has two: the
// kernel's and cutaway's own.
type Mounter interface {
	// Mount mounts at target with options as mount.aufs(8) takes them.
	Mount(target, options string) error
	// Unmount takes the mount away.
	Unmount(target string) error
}

// Options is the branch list of a mount: the layer's own folder rw, those below
// ro+wh. "wh" makes their whiteouts count; without it AUFS takes a read-only
// branch for one that never was a layer, and deleted files come back.
// dio lets direct IO through, and xino keeps the inode table in memory, since
// /dev/shm is not one of the layers.
func Options(branches []string, readOnly bool) (string, error) {
	var b strings.Builder
	for i, dir := range branches {
		if strings.ContainsAny(dir, ":=,\\") {
			return "", fmt.Errorf("branch %q: AUFS options cannot hold ':', '=', ',' or '\\'", dir)
		}
		perm := "=ro+wh"
		if i == 0 && !readOnly {
			perm = "=rw"
		}
		sep := ":"
		if i == 0 {
			sep = "br:"
		}
		b.WriteString(sep + dir + perm)
	}
	return b.String() + ",dio,xino=/dev/shm/aufs.xino", nil
}
