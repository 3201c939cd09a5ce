package probe

func overlayRows() []Probe {
	option := func(id ID, title, since, live, effect string) Probe {
		return Probe{ID: id, Title: title, Since: since, Live: live, Effect: effect, Privilege: Root,
			Symbols: []string{"OVERLAY_FS"}, Modules: []string{"overlay"}}
	}
	return rows(groupOverlay, mounts, []Probe{
		{ID: "overlay.works", Title: "mount, whiteout, opaque folder", Since: "3.18", Symbols: []string{"OVERLAY_FS"}, Modules: []string{"overlay"}, Live: "overlay",
			Effect: "deletes in a container are lost or fail", Fix: fixModules},
		{ID: "overlay.statedir", Title: "the same on the state folder", Since: "3.18", Symbols: []string{"OVERLAY_FS"}, Modules: []string{"overlay"}, Live: "overlay-state", Privilege: Root,
			Effect: "the overlay2 driver does not work where images would be kept", Fix: "cutaway --root DIR ...   # DIR on ext4, or on xfs made with -n ftype=1"},
		{ID: "overlay.userxattr", Title: "in a user namespace (userxattr)", Since: "5.11", Symbols: []string{"OVERLAY_FS", "USER_NS"}, Modules: []string{"overlay"}, Live: "userxattr", place: nested,
			Effect: "rootless containers need fuse-overlayfs, or copy every layer", Fix: "apt-get install fuse-overlayfs   # same name in most distributions"},
		option("overlay.metacopy", "metacopy: chown without copying data", "4.19", "ovl-option:metacopy=on,redirect_dir=on", "chmod and chown copy the whole file up"),
		option("overlay.redirect-dir", "redirect_dir: rename of lower folders", "4.10", "ovl-option:redirect_dir=on", "renaming a folder of an image answers EXDEV"),
		option("overlay.index", "index: hard links stay together", "4.13", "ovl-option:index=on", "hard links of a lower file break apart at copy-up"),
		option("overlay.volatile", "volatile: no sync", "5.10", "ovl-option:volatile", "throwaway layers wait for the disk"),
		option("overlay.xino", "xino: stable inode numbers", "4.17", "ovl-option:xino=on", "inode numbers of merged folders may repeat over file systems"),
		option("overlay.data-only", "data-only lower layers (::)", "6.5", "ovl-data", "no layers that hold file content only"),
		{ID: "overlay.lowerdir-append", Title: "lowerdir+: layers one by one", Since: "6.5", Symbols: []string{"OVERLAY_FS"}, Modules: []string{"overlay"}, Live: "ovl-append",
			Effect: "all layer paths together have to fit into one page"},
		{ID: "overlay.detached", Title: "layers by file descriptor", Since: "6.13", Symbols: []string{"OVERLAY_FS"}, Modules: []string{"overlay"}, Live: "ovl-detached",
			Effect: "layers need paths to be mounted from"},
		{ID: "overlay.idmap", Title: "overlay over an idmapped layer", Since: "5.19", Symbols: []string{"OVERLAY_FS", "USER_NS"}, Modules: []string{"overlay"}, Live: "ovl-idmap", Privilege: Root,
			Effect: "containers with a user namespace need a chown of every image file"},
	})
}

func stateRows() []Probe {
	const elsewhere = "cutaway --root DIR ...   # DIR on another file system: ext4, xfs or btrfs"
	return rows(groupState, plain, []Probe{
		{ID: "dir.upper", Title: "file system can carry an upper folder", Live: "upper", Privilege: AnyUser, Fix: elsewhere,
			Effect: "the overlay2 driver does not work on this state folder"},
		{ID: "dir.d-type", Title: "folders store file types (d_type)", Live: "d_type", Privilege: AnyUser,
			Effect: "overlayfs cannot find whiteouts: deleted files come back", Fix: "mkfs.xfs -n ftype=1 DEVICE   # ext4: tune2fs -O filetype DEVICE, unmounted"},
		{ID: "dir.xattr.trusted", Title: "trusted.* attributes", Live: "xattr:trusted.cutaway", Privilege: Root, Fix: elsewhere,
			Effect: "overlayfs cannot mark opaque folders"},
		{ID: "dir.xattr.user", Title: "user.* attributes", Live: "xattr:user.cutaway", Privilege: AnyUser, Fix: elsewhere,
			Effect: "rootless overlayfs cannot mark opaque folders"},
		{ID: "dir.xattr.capability", Title: "file capabilities", Live: "xattr:security.capability", Privilege: Root, Fix: elsewhere,
			Effect: "programs of an image lose their capabilities, ping first of all"},
		{ID: "dir.reflink", Title: "copies that share blocks (reflink)", Live: "reflink", Privilege: AnyUser,
			Effect: "the vfs driver copies all data", Fix: "mkfs.xfs -m reflink=1 DEVICE   # or btrfs"},
		{ID: "dir.idmap", Title: "idmapped mounts of the state folder", Since: "5.12", Symbols: []string{"USER_NS"}, Live: "idmap:state", place: mounts, Privilege: Root,
			Effect: "volumes cannot be shared with shifted owners"},
		{ID: "mount.idmap", Title: "idmapped mounts of tmpfs", Since: "6.3", Symbols: []string{"USER_NS"}, Live: "idmap", place: mounts, Privilege: Root,
			Effect: "the lab on idmapped mounts needs another file system"},
		{ID: "dir.quota", Title: "project quota is on", Since: "5.14", Symbols: []string{"QUOTA|XFS_QUOTA"}, Live: "quota", Privilege: AnyUser,
			Effect: "--storage-opt size= does not limit a container's disk", Fix: "mount -o remount,prjquota /var/lib/cutaway   # xfs: at the first mount, in /etc/fstab; ext4 also needs tune2fs -O project -Q prjquota"},
		{ID: "dir.vfs", Title: "plain copies (the vfs driver)", Live: "copy", Privilege: AnyUser,
			Effect: "no image can be kept at all", Fix: "df -h /var/lib/cutaway   # is it full, or read-only?"},
	})
}

func deviceRows() []Probe {
	target := func(name, symbol, module, effect string) Probe {
		return Probe{ID: ID("dm." + name), Title: "device-mapper target " + name, Symbols: []string{"BLK_DEV_DM", symbol},
			Modules: []string{"dm-mod", module}, Live: "dm-target:" + name, Effect: effect, Fix: fixModules, Privilege: Root}
	}
	return rows(groupDevice, plain, []Probe{
		{ID: "dm", Title: "device-mapper", Symbols: []string{"BLK_DEV_DM"}, Modules: []string{"dm-mod"}, File: "/proc/misc device-mapper", Live: "dm", Privilege: Root,
			Effect: "the devicemapper labs run in a virtual machine only", Fix: fixModules},
		target("thin-pool", "DM_THIN_PROVISIONING", "dm-thin-pool", "the devicemapper driver does not work"),
		target("thin", "DM_THIN_PROVISIONING", "dm-thin-pool", "the devicemapper driver does not work"),
		target("snapshot", "DM_SNAPSHOT", "dm-snapshot", "the lab on classic snapshots does not work"),
		target("flakey", "DM_FLAKEY", "dm-flakey", "no disk that fails on purpose"),
		{ID: "dm.tools", Title: "dmsetup and thin-provisioning-tools", Live: "tools:dmsetup thin_check thin_dump", Privilege: AnyUser,
			Effect: "pools cannot be looked into by hand", Fix: "apt-get install dmsetup thin-provisioning-tools   # Fedora: device-mapper device-mapper-persistent-data"},
		{ID: "loop", Title: "loop devices", Since: "5.8", Symbols: []string{"BLK_DEV_LOOP"}, Modules: []string{"loop"}, File: "/proc/devices loop", Live: "loop", Privilege: Root,
			Effect: "no file system images, no thin pools on files", Fix: fixModules},
		{ID: "fuse", Title: "fuse mounts", Symbols: []string{"FUSE_FS"}, Modules: []string{"fuse"}, File: "/proc/misc fuse", Live: "fuse", place: mounts,
			Effect: "no union file system in user space", Fix: fixModules},
		{ID: "zfs", Title: "/dev/zfs opens", Modules: []string{"zfs"}, File: "/proc/misc zfs", Live: "zfs", Privilege: Root,
			Effect: "the zfs driver does not work", Fix: "apt-get install zfsutils-linux   # Ubuntu; Debian: zfs-dkms from contrib; without a module: zfs-fuse"},
		{ID: "zfs.tools", Title: "zfs and zpool", Live: "tools:zfs zpool", Privilege: AnyUser,
			Effect: "the zfs lab does not work", Fix: "apt-get install zfsutils-linux   # Ubuntu; Debian main has zfs-fuse"},
		{ID: "net.tun", Title: "tun and tap devices", Symbols: []string{"TUN"}, Modules: []string{"tun"}, File: "/proc/misc tun", Live: "tun", place: network,
			Effect: "no rootless network by slirp or pasta", Fix: fixModules},
	})
}
