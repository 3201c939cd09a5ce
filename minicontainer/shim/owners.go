package shim

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// shiftOwners gives the files of a root to the ids that the container's user
// namespace has on the host (lchown(2)). Without it, all would belong to
// "nobody" in there. It is done once: the root folder itself goes last and says
// that it was. What changes owner is copied up into the container's layer, which
// is why Docker keeps a second set of images for it.
func shiftOwners(root string, m specs.LinuxIDMapping) error {
	var st unix.Stat_t
	if err := unix.Lstat(root, &st); err != nil {
		return fmt.Errorf("lstat %s: %w", root, err)
	}
	if st.Uid == m.HostID {
		return nil
	}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return shiftOwner(path, m)
	})
	if err != nil {
		return err
	}
	return shiftOwner(root, m)
}

func shiftOwner(path string, m specs.LinuxIDMapping) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fmt.Errorf("lstat %s: %w", path, err)
	}
	uid, inUsers := shifted(st.Uid, m)
	gid, inGroups := shifted(st.Gid, m)
	if !inUsers && !inGroups { // done already, by one that was interrupted
		return nil
	}
	if err := os.Lchown(path, int(uid), int(gid)); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	return unix.Chmod(path, st.Mode&0o7777) // chown takes setuid away
}

// shifted is an id of the image on the host.
func shifted(id uint32, m specs.LinuxIDMapping) (uint32, bool) {
	if id < m.ContainerID || id >= m.ContainerID+m.Size || (id >= m.HostID && id < m.HostID+m.Size) {
		return id, false
	}
	return id - m.ContainerID + m.HostID, true
}
