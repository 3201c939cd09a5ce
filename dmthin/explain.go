package dmthin

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Cause is a likely reason for an error, and the way out.
type Cause struct{ Why, Try string }

// reason is a row of the table of causes. detail narrows it to what was sent: a
// target's name or a message's first word.
type reason struct {
	verb, detail string
	errno        syscall.Errno
	Cause
}

const readLog = "read the reason in the kernel's log: dmesg | grep device-mapper"

var reasons = []reason{
	{"open", "", unix.ENOENT, Cause{"this kernel has no device mapper, or /dev is no devtmpfs and nobody made the node",
		"look for device-mapper in /proc/misc; modprobe dm_mod (CONFIG_BLK_DEV_DM); or run it in the VM: --on vm"}},
	{"open", "", unix.ENODEV, Cause{"the node is there, but the driver is not", "modprobe dm_mod (CONFIG_BLK_DEV_DM); or run it in the VM: --on vm"}},
	{"open", "", unix.EACCES, Cause{"the control file belongs to root", "run as root"}},
	{"open", "", unix.EPERM, Cause{"a container's device rules refuse the control file", "run it on the host or in the VM"}},
	{"nodes", "", unix.EACCES, Cause{"the folder for device nodes is mounted with nodev, so that no node in it can be opened", "use a folder in /dev"}},
	{"nodes", "", unix.ENOENT, Cause{"the folder for device nodes is not there", "make it first"}},
	{"", "", unix.EACCES, Cause{"every ioctl takes CAP_SYS_ADMIN in the first user namespace; root in a container has not got it", "run as the machine's root, or in the VM"}},
	{"create", "", unix.EBUSY, Cause{"a device has that name or that UUID already", "look with dmsetup ls, dmsetup info; remove it first"}},
	{"create", "", unix.EINVAL, Cause{"the name is empty or has a slash in it", "use another name"}},
	{"rename", "", unix.EBUSY, Cause{"the new name is taken", "look with dmsetup ls"}},
	{"rename", "", unix.EINVAL, Cause{"the new name is empty, too long or has a slash in it", "use another name"}},
	{"load", "", unix.ENOENT, Cause{"a device that the table names is not there, or its node is not in this mount namespace", "name it by its number, as in 7:0"}},
	{"load", "", unix.ENODEV, Cause{"a device that the table names is not there, or its node is in a mount namespace or file system (nodev) where it does not count", "name it by its number, as in 7:0"}},
	{"load", "thin-pool", unix.ENOTBLK, Cause{"the metadata device holds something else than a pool's metadata", "if it may be lost, zero its first 4 KiB"}},
	{"load", "", unix.ENXIO, Cause{"a device that the table names does not exist (any more), or there is no device to load into", "look with lsblk and dmsetup ls"}},
	{"load", "", unix.EBUSY, Cause{"a device below is mounted, or another program holds it for itself; or a pool uses these two devices already",
		"look who has it: lsblk, /sys/block/*/holders"}},
	{"load", "thin ", unix.ENODATA, Cause{"the pool has no thin device of that id", "make it first with create_thin or create_snap"}},
	{"load", "thin-pool", unix.EINVAL, Cause{"the block size is no multiple of 128 sectors, the data device is smaller than the pool was, or the metadata is another's", readLog}},
	{"load", "thin-pool", unix.EILSEQ, Cause{"a checksum in the metadata is wrong: something wrote over it", "thin_check and thin_repair (thin-provisioning-tools)"}},
	{"load", "", unix.EINVAL, Cause{"the target refused its parameters, this kernel has no such target, or the lines reach beyond the device below", readLog + "; and which targets there are: dmsetup targets"}},
	{"load", "", unix.EPERM, Cause{"a device below is read-only, or the pool is", "load the table read-only"}},
	{"resume", "", unix.EINVAL, Cause{"the pool's data or metadata device became smaller than it was", readLog}},
	{"resume", "", unix.ENOSPC, Cause{"the pool's metadata device has no room for the change", "use a larger metadata device"}},
	{"remove", "", unix.EBUSY, Cause{"it is mounted, open, or another table stands on it", "umount it; look at /sys/dev/block/MAJOR:MINOR/holders; what stands on it goes first"}},
	{"message", "create_", unix.EEXIST, Cause{"the pool has a thin device of that id already", "take another id, or delete that one"}},
	{"message", "create_snap", unix.ENODATA, Cause{"the pool has no origin of that id", "look which ids there are (Pool.Mappings, thin_dump)"}},
	{"message", "delete", unix.ENODATA, Cause{"the pool has no thin device of that id", "look which ids there are (Pool.Mappings, thin_dump)"}},
	{"message", "delete", unix.EBUSY, Cause{"the thin device is active", "deactivate it first"}},
	{"message", "reserve_metadata_snap", unix.EBUSY, Cause{"a copy of the metadata is reserved already, perhaps by a reader that died", "send release_metadata_snap"}},
	{"message", "set_transaction_id", unix.EINVAL, Cause{"the pool's transaction id is not the one that was expected: somebody else changed it, or a crash came between", "read it from the pool's status"}},
	{"message", "", unix.EOPNOTSUPP, Cause{"the pool is read-only, failed or out of space", "look at its status; grow it, or thin_check it"}},
	{"message", "", unix.ENOSPC, Cause{"the pool's metadata is full", "use a larger metadata device"}},
	{"message", "", unix.EINVAL, Cause{"the target does not know that message, or its numbers are out of range", readLog}},
	{"target", "", unix.EINVAL, Cause{"this kernel has no such target, nor a module dm-<target>", "look at CONFIG_DM_THIN_PROVISIONING and its like; or run it in the VM: --on vm"}},
	{"", "", unix.ENXIO, Cause{"there is no mapped device of that name", "look with dmsetup ls"}},
	{"", "", unix.ENOTTY, Cause{"this kernel's device mapper is older than that ioctl", "use a newer kernel; or run it in the VM: --on vm"}},
	{"", "", unix.ENAMETOOLONG, Cause{"the kernel's fields for names are of fixed size", "use a shorter name"}},
}

// other are reasons for errors that are not the device mapper's: of loop devices
// and of what is written to a thin device.
var other = []reason{
	{"LOOP_CONFIGURE", "", unix.EINVAL, Cause{"the kernel is older than 5.8, or block size or offset do not fit", "use a newer kernel, or the default block size"}},
	{"LOOP_CONFIGURE", "", unix.EBUSY, Cause{"other programs take loop devices as fast as we ask", "try again"}},
	{"LOOP_CTL_GET_FREE", "", unix.ENOSPC, Cause{"no loop device is free and no more can be made", "detach some: losetup -D; or boot with max_loop=0"}},
	{"loop-control", "", unix.ENOENT, Cause{"this kernel has no loop devices (CONFIG_BLK_DEV_LOOP), or /dev is no devtmpfs", "modprobe loop"}},
	{"BLKDISCARD", "", unix.EOPNOTSUPP, Cause{"the device takes no discards", "a pool without ignore_discard does; look at /sys/block/*/queue/discard_max_bytes"}},
	{"", "", unix.ENOSPC, Cause{"there is no room: the pool is full, the disk below it is, or the free part of the split", "delete thin devices or grow the pool; look at its status"}},
	{"", "", unix.EIO, Cause{"the pool is full and errors out, its data device failed, or the file system under a loop file is full", "look at the pool's status and at dmesg"}},
}

// Explain lists the likely causes of an error from this package, the more special
// first. An error without an errno gets none.
func Explain(err error) []Cause {
	var e *Error
	if !errors.As(err, &e) {
		return pick(other, err, func(r reason) bool { return err != nil && strings.Contains(err.Error(), r.verb) })
	}
	return pick(reasons, err, func(r reason) bool {
		return (r.verb == "" || r.verb == e.Verb) && strings.Contains(e.Detail+" ", r.detail)
	})
}

func pick(table []reason, err error, fits func(reason) bool) (causes []Cause) {
	for _, r := range table {
		if errors.Is(err, r.errno) && fits(r) {
			causes = append(causes, r.Cause)
		}
	}
	return causes
}
