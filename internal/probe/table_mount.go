package probe

func mountRows() []Probe {
	return rows(groupMount, mounts, []Probe{
		{ID: "mount.fsopen", Title: "fsopen", Since: "5.2", Live: "call:fsopen", place: owner,
			Effect: "a file system is set up with one mount call, and errors come without words"},
		{ID: "mount.open-tree", Title: "open_tree", Since: "5.2", Live: "call:open_tree", place: owner,
			Effect: "no detached copies of mounts, so no idmapped mounts"},
		{ID: "mount.move-mount", Title: "move_mount", Since: "5.2", Live: "call:move_mount", place: owner,
			Effect: "a mount prepared outside cannot be put into a running container"},
		{ID: "mount.fspick", Title: "fspick", Since: "5.2", Live: "call:fspick", place: owner,
			Effect: "a mounted file system is changed by remount only"},
		{ID: "mount.setattr", Title: "mount_setattr", Since: "5.12", Live: "call:mount_setattr", place: owner,
			Effect: "no recursive read-only and no idmapped mounts"},
		{ID: "mount.openat2", Title: "openat2", Since: "5.6", Live: "call:openat2", place: plain, Privilege: AnyUser,
			Effect: "paths inside an image have to be resolved by hand, link by link"},
		{ID: "mount.pivot-root", Title: "pivot_root works here", Live: "pivot_root",
			Effect: "the old root stays reachable: containers would need MS_MOVE and chroot"},
		{ID: "mount.proc", Title: "a new /proc in a nested container", Symbols: []string{"PROC_FS", "PID_NS"}, Live: "procfs", place: nested,
			Effect: "a container started in here does not get a /proc",
			Fix:    "docker run --security-opt systempaths=unconfined ...   # when this is a container: nothing may cover parts of /proc"},
		{ID: "mount.proc.subset", Title: "proc with subset=pid and hidepid by name", Since: "5.8", Symbols: []string{"PROC_FS"}, Live: "procfs:subset=pid,hidepid=invisible", place: nested,
			Effect: "a container cannot get a /proc with nothing but processes in it"},
		{ID: "mount.mqueue", Title: "POSIX message queues", Symbols: []string{"POSIX_MQUEUE"}, File: "/proc/filesystems mqueue", Live: "mount:mqueue",
			Effect: "/dev/mqueue is missing in containers"},
		{ID: "mount.devpts", Title: "a devpts instance of its own", Symbols: []string{"UNIX98_PTYS"}, File: "/proc/filesystems devpts", Live: "mount:devpts newinstance,ptmxmode=0666",
			Effect: "a container shares the terminals of the machine"},
	})
}

func filesystemRows() []Probe {
	fs := func(id ID, kind, symbol, module, effect, fix string) Probe {
		p := Probe{ID: id, Title: kind + " is registered", Symbols: []string{symbol}, File: "/proc/filesystems " + kind,
			Live: "fsopen:" + kind, Effect: effect, Fix: fix}
		if module != "" {
			p.Modules = []string{module}
		}
		return p
	}
	return rows(groupFS, owner, []Probe{
		fs("fs.overlay", "overlay", "OVERLAY_FS", "overlay", "the overlay2 driver does not work; vfs copies every layer instead", fixModules),
		fs("fs.aufs", "aufs", "AUFS_FS", "aufs", "the aufs labs run on cutaway's own union file system instead of the kernel's", "cutaway aufs   # a FUSE union with the same rules; no distribution ships the module today"),
		fs("fs.btrfs", "btrfs", "BTRFS_FS", "btrfs", "the btrfs driver does not work", fixModules),
		fs("fs.zfs", "zfs", "ZFS", "zfs", "the zfs driver does not work", "apt-get install zfsutils-linux   # Ubuntu; Debian: zfs-dkms from contrib; without a module: zfs-fuse"),
		fs("fs.xfs", "xfs", "XFS_FS", "xfs", "no lab image with project quota on xfs", fixModules),
		{ID: "fs.xfs.quota", Title: "xfs counts by project", Symbols: []string{"XFS_FS", "XFS_QUOTA"}, Modules: []string{"xfs"}, Live: "xfs-quota",
			Effect: "no size limit for one container on an xfs image", Fix: fixKernel},
		fs("fs.ext4", "ext4", "EXT4_FS", "ext4", "no lab image with ext4 in it", fixModules),
		fs("fs.fuse", "fuse", "FUSE_FS", "fuse", "no union in user space, no fuse-overlayfs", fixModules),
		fs("fs.erofs", "erofs", "EROFS_FS", "erofs", "no read-only layer images with erofs", fixModules),
		fs("fs.squashfs", "squashfs", "SQUASHFS", "squashfs", "no read-only layer images with squashfs", fixModules),
		fs("fs.tmpfs", "tmpfs", "TMPFS", "", "no --tmpfs, no /dev in a container", fixKernel),
	})
}
