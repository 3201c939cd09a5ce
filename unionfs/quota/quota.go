package quota

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
)

// A Control sets limits on folders below one home. It holds nothing open.
type Control struct{ home string }

// Open asks the kernel whether project quota is counted and enforced on the
// file system of home. If not, the error is *unionfs.Unsupported with what the
// kernel answered.
func Open(home string) (*Control, error) {
	dir, err := os.Open(home)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if _, err := getXattr(dir); err != nil {
		return nil, unsupported(home, err)
	}
	if err := enforced(dir); err != nil {
		return nil, unsupported(home, err)
	}
	return &Control{home}, nil
}

// enforced asks in XFS's way and then in the general one: the XFS command says
// whether limits are enforced, the general one fails where quota is off.
func enforced(dir *os.File) error {
	// struct fs_quota_statv: version, pad, flags, then counters.
	var stat [40]uint32
	*(*int8)(unsafe.Pointer(&stat[0])) = quotaStatVVersion
	err := quotactl(dir, qXGetQStatV, "Q_XGETQSTATV", 0, unsafe.Pointer(&stat[0]))
	flags := uint16(stat[0] >> 16)
	if err == nil && flags&xfsQuotaPdqEnfd != 0 {
		return nil
	}
	var info [6]uint32 // struct if_dqinfo
	if ierr := quotactl(dir, qGetInfo, "Q_GETINFO", 0, unsafe.Pointer(&info)); ierr != nil {
		return errors.Join(err, ierr)
	}
	return nil
}

func unsupported(home string, err error) error {
	fsName := unionfs.FileSystemName(home)
	remedy := "put --root on XFS mounted with pquota, or on ext4 with the features project and quota mounted with prjquota"
	if fsName == "xfs" && errors.Is(err, unix.ENOSYS) {
		remedy = "mount it with pquota; if it says \"kernel was not built with\", the kernel lacks CONFIG_XFS_QUOTA"
	}
	if fsName == "extfs" && errors.Is(err, unix.ESRCH) {
		remedy = "tune2fs -O project,quota -Q prjquota and mount it with prjquota; the kernel needs CONFIG_QFMT_V2"
	}
	return &unionfs.Unsupported{
		What: "a size limit", Reason: fmt.Sprintf("no project quota on %s (%s): %v", home, fsName, err), Remedy: remedy,
	}
}

// Set gives the empty folder dir a project id of its own and limits it to bytes
// (rounded up to KiB).
func (c *Control) Set(dir string, bytes uint64) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	// Two processes must not find the same number free.
	home, err := os.Open(c.home)
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Flock(int(home.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("flock %s LOCK_EX: %w", c.home, err)
	}
	id, err := c.freeProject()
	if err != nil {
		return err
	}
	x, err := getXattr(f)
	if err != nil {
		return err
	}
	// The limit first: a folder that has the number has the limit.
	hard := (bytes + blockSize - 1) / blockSize
	q := dqblk{BHard: hard, BSoft: hard, Valid: qifBLimits}
	if err := quotactl(f, qSetQuota, "Q_SETQUOTA", id, unsafe.Pointer(&q)); err != nil {
		return err
	}
	x.Projid, x.Xflags = id, x.Xflags|xflagProjInherit
	return setXattr(f, x)
}

// Usage reads back a folder's project id, the bytes counted and the limit.
func Usage(dir string) (project uint32, used, limit uint64, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, 0, 0, err
	}
	defer f.Close()
	x, err := getXattr(f)
	if err != nil {
		return 0, 0, 0, err
	}
	var q dqblk
	err = quotactl(f, qGetQuota, "Q_GETQUOTA", x.Projid, unsafe.Pointer(&q))
	return x.Projid, q.Space, q.BHard * blockSize, err
}

// freeProject finds a number that no folder of home has. The folders themselves
// are the register, so that it cannot disagree with them.
func (c *Control) freeProject() (uint32, error) {
	entries, err := os.ReadDir(c.home)
	if err != nil {
		return 0, err
	}
	used := make(map[uint32]bool)
	for _, e := range entries {
		if f, err := os.Open(filepath.Join(c.home, e.Name())); err == nil {
			x, _ := getXattr(f)
			used[x.Projid] = true
			f.Close()
		}
	}
	for id := uint32(firstProject); id < firstProject+projectsToTry; id++ {
		if !used[id] {
			return id, nil
		}
	}
	return 0, fmt.Errorf("no free project id below %s", c.home)
}
