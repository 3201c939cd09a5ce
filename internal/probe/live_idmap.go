package probe

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// shifted is what uid 0 becomes in the probe's id map.
const shifted = 100000

// shiftNamespace opens a user namespace that maps 0 to 100000. It belongs to a
// paused child, and lives on in the file descriptor when that has gone.
func shiftNamespace() (*os.File, error) {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: shifted, Size: 1000}}
	cmd := actor("pause", &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids,
	})
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a child with CLONE_NEWUSER: %w", err)
	}
	defer cmd.Wait()
	defer in.Close()
	return os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
}

// shift makes a detached copy of the mount at dir with all ids shifted.
func shift(dir string) (int, Finding) {
	userns, err := shiftNamespace()
	if err != nil {
		return -1, asked("clone(CLONE_NEWUSER) with a map", err, verdict{})
	}
	defer userns.Close()
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, asked("open_tree("+dir+", OPEN_TREE_CLONE)", err, verdict{})
	}
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Fd()),
	})
	f := asked("mount_setattr("+dir+", MOUNT_ATTR_IDMAP)", err, absentEINVAL)
	if err != nil {
		unix.Close(tree)
		return -1, f.because("the file system, or this kernel for it, does not support idmapped mounts")
	}
	return tree, f
}

// idmappedMount tries it on tmpfs, or on the state folder for the argument "state".
func idmappedMount(s *stage, arg string) Finding {
	dir := s.work
	if arg == "state" {
		dir = s.State
	}
	tree, f := shift(dir)
	if tree >= 0 {
		unix.Close(tree)
	}
	return f
}

// overlayOnIdmapped puts an idmapped lower layer under an overlay and looks at
// the owner of a file through it: some kernels accept the mount and then
// show the wrong owner.
func overlayOnIdmapped(s *stage, _ string) Finding {
	dir := s.fresh()
	o := makeOverlay(dir)
	tree, f := shift(o.lower1)
	if tree < 0 {
		return f
	}
	defer unix.Close(tree)
	at := dir + "/shifted"
	_ = os.Mkdir(at, 0o755)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return asked("move_mount", err, verdict{})
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	o.lower1 = at
	f, err := o.mount("")
	if err != nil {
		return f
	}
	defer o.unmount()
	var st unix.Stat_t
	err = unix.Stat(o.merged+"/file", &st)
	f = f.saw("live", "stat(merged/file)", err, fmt.Sprintf("uid %d", st.Uid))
	if st.Uid != shifted {
		f.State = No
		return f.because("it mounts, but the owner seen through it is not the shifted one")
	}
	return f
}
