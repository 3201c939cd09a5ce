package probe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const reasonNoScratch = "no folder could be made in the state folder"

// directoryTypes reads one folder listing and nothing else: "." and ".." carry
// type 4 (directory) when the file system stores types, 0 when it does not.
// overlayfs needs them to find whiteouts.
func directoryTypes(s *stage, _ string) Finding {
	dir, err := os.Open(s.State)
	if err != nil {
		return asked("open("+s.State+")", err, verdict{})
	}
	defer dir.Close()
	buf := make([]byte, 4096)
	n, err := unix.Getdents(int(dir.Fd()), buf)
	f := asked("getdents64("+s.State+")", err, verdict{})
	if err != nil {
		return f
	}
	// struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
	for at := 0; at+19 < n; at += int(*(*uint16)(unsafe.Pointer(&buf[at+16]))) {
		name, _, _ := bytes.Cut(buf[at+19:], []byte{0})
		if string(name) == "." && buf[at+18] == unix.DT_UNKNOWN {
			f.State = No
			return f.with(". has d_type 0").because("this file system does not store file types in folders")
		}
	}
	return f.with(". has d_type 4")
}

// nameless opens a file in the state folder that never has a name, so that
// nothing can be left behind.
func nameless(s *stage) (*os.File, error) {
	fd, err := unix.Open(s.State, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "O_TMPFILE in "+s.State), nil
}

// extendedAttribute sets an attribute of one kind on a nameless file.
func extendedAttribute(s *stage, name string) Finding {
	file, err := nameless(s)
	if err != nil {
		return asked("open("+s.State+", O_TMPFILE)", err, verdict{})
	}
	defer file.Close()
	value := []byte("1")
	if name == "security.capability" {
		// struct vfs_cap_data, revision 2: cap_net_raw permitted.
		value = []byte{0, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	err = unix.Fsetxattr(int(file.Fd()), name, value, 0)
	return asked("fsetxattr(O_TMPFILE in "+s.State+", "+name+")", err, verdict{absent: []unix.Errno{unix.EOPNOTSUPP}})
}

// reflink clones one nameless file into another.
func reflink(s *stage, _ string) Finding {
	from, err := nameless(s)
	if err != nil {
		return asked("open("+s.State+", O_TMPFILE)", err, verdict{})
	}
	defer from.Close()
	to, err := nameless(s)
	if err != nil {
		return asked("open("+s.State+", O_TMPFILE)", err, verdict{})
	}
	defer to.Close()
	_, _ = from.Write(make([]byte, 4096))
	err = unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
	return asked("ioctl(FICLONE) in "+s.State, err, verdict{absent: []unix.Errno{unix.EOPNOTSUPP, unix.ENOTTY, unix.EINVAL}})
}

// noUpper lists file systems by statfs magic that cannot carry an overlay's
// upper folder.
var noUpper = sync.OnceValue(func() map[int64]string {
	return map[int64]string{
		unix.NFS_SUPER_MAGIC: "nfs", unix.CIFS_SUPER_MAGIC: "cifs", unix.SMB2_SUPER_MAGIC: "smb",
		unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.ECRYPTFS_SUPER_MAGIC: "ecryptfs", unix.V9FS_MAGIC: "9p",
		unix.MSDOS_SUPER_MAGIC: "vfat", unix.EXFAT_SUPER_MAGIC: "exfat",
	}
})

// upperFilesystem names what the state folder is on.
func upperFilesystem(s *stage, _ string) Finding {
	var st unix.Statfs_t
	err := unix.Statfs(s.State, &st)
	f := asked("statfs("+s.State+")", err, verdict{})
	if err != nil {
		return f
	}
	f = f.with(fmt.Sprintf("magic %#x", st.Type))
	if name, bad := noUpper()[int64(st.Type)]; bad {
		f.State = No
		return f.because("the state folder is on " + name + ", which overlayfs does not take as upper")
	}
	return f
}

// projectQuota asks, without a right to change anything, whether the file
// system of the state folder counts project quota.
func projectQuota(s *stage, _ string) Finding {
	// ENOSYS below may come from a file system without quota: ask first with no
	// file system at all whether the call exists.
	_, _, e := unix.Syscall6(unix.SYS_QUOTACTL_FD, ^uintptr(0), 0, 0, 0, 0, 0)
	f := asked("quotactl_fd(-1)", errno(e), verdict{present: []unix.Errno{unix.EBADF}})
	return f.then(func() Finding { return quotaState(s.State) })
}

// From linux/quota.h and linux/dqblk_xfs.h.
const (
	qXGetQStatV = 'X'<<8 | 8
	qGetInfo    = 0x800005
	prjQuota    = 2
	accountBit  = 1 << 4 // FS_QUOTA_PDQ_ACCT
)

// quotaState asks in XFS's way, which ext4 understands too, then in the old one.
func quotaState(dir string) Finding {
	fd, err := os.Open(dir)
	if err != nil {
		return asked("open("+dir+")", err, verdict{})
	}
	defer fd.Close()
	off := verdict{off: []unix.Errno{unix.ENOSYS, unix.ESRCH, unix.EINVAL, unix.ENOTSUP, unix.ENOTBLK}}
	buf := make([]byte, 256) // struct fs_quota_statv
	buf[0] = 1               // FS_QSTATV_VERSION1
	_, _, e := unix.Syscall6(unix.SYS_QUOTACTL_FD, fd.Fd(), qXGetQStatV<<8|prjQuota, 0, uintptr(unsafe.Pointer(&buf[0])), 0, 0)
	f := asked("quotactl_fd(Q_XGETQSTATV, PRJQUOTA) on "+dir, errno(e), off)
	if e == 0 && buf[2]&accountBit == 0 {
		f.State = Off
	}
	if f.State == Off {
		_, _, e = unix.Syscall6(unix.SYS_QUOTACTL_FD, fd.Fd(), qGetInfo<<8|prjQuota, 0, uintptr(unsafe.Pointer(&buf[0])), 0, 0)
		second := asked("quotactl_fd(Q_GETINFO, PRJQUOTA) on "+dir, errno(e), off)
		second.Evidence = append(f.Evidence, second.Evidence...)
		f = second
	}
	return f.because("the file system of the state folder is not mounted with prjquota")
}

// plainCopy does what the vfs driver does: a whole copy.
func plainCopy(s *stage, _ string) Finding {
	if s.Scratch == "" {
		return Finding{State: Denied, Reason: reasonNoScratch}
	}
	dir := filepath.Join(s.Scratch, "vfs")
	err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(dir+"/copy", []byte("x"), 0o600))
	var st unix.Statfs_t
	_ = unix.Statfs(s.State, &st)
	free := st.Bavail * uint64(st.Bsize) >> 20
	return asked("mkdir, write in "+s.Scratch, err, verdict{}).with(fmt.Sprintf("%d MiB free", free))
}
