// Package quota limits how many bytes one folder may hold, by project quota.
//
// A project id is a number in the inode. With the flag FS_XFLAG_PROJINHERIT on
// a folder, everything made below gets the folder's number, and the file system
// counts blocks per number:
//
//	<id>/          project 7, PROJINHERIT      limit: 10 MiB for project 7
//	<id>/diff/     project 7, inherited
//	<id>/diff/f    project 7, inherited        write beyond 10 MiB: EDQUOT
//
// Unlike user quota, that is per folder, which is what a container's size limit
// needs. XFS wants the mount option pquota, ext4 the feature "project,quota" and
// the option prjquota.
//
// Set acts through FS_IOC_FSSETXATTR (the number) and quotactl_fd(2) (the
// limit, Linux 5.14), which takes any descriptor on the file system, so that no
// device node is needed.
//
// Man pages: quotactl(2), xfs_quota(8), ioctl_xfs_fsgetxattr(2), tune2fs(8).
package quota
