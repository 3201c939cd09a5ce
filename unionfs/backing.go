package unionfs

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// FileSystemName says by statfs(2) which file system a folder lies on, in the
// words of `docker info`'s "Backing Filesystem".
func FileSystemName(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown (" + err.Error() + ")"
	}
	if name, ok := magics()[uint32(st.Type)]; ok {
		return name
	}
	return fmt.Sprintf("unknown (magic %#x)", uint32(st.Type))
}

// magics are the f_type values of statfs(2).
var magics = sync.OnceValue(func() map[uint32]string {
	return map[uint32]string{
		0x61756673:                 "aufs",
		unix.BTRFS_SUPER_MAGIC:     "btrfs",
		unix.EXT4_SUPER_MAGIC:      "extfs",
		0xf2f52010:                 "f2fs",
		unix.FUSE_SUPER_MAGIC:      "fuse",
		unix.NFS_SUPER_MAGIC:       "nfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
		unix.TMPFS_MAGIC:           "tmpfs",
		unix.XFS_SUPER_MAGIC:       "xfs",
		0x2fc12fc1:                 "zfs",
	}
})
