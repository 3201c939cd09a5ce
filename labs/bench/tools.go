package bench

// The programs that shell lines use, with the packages that bring them.
var (
	Unshare  = Tool{"unshare", "util-linux"}
	Nsenter  = Tool{"nsenter", "util-linux"}
	Mount    = Tool{"mount", "mount"}
	Umount   = Tool{"umount", "mount"}
	Findmnt  = Tool{"findmnt", "util-linux"}
	Lsns     = Tool{"lsns", "util-linux"}
	Setpriv  = Tool{"setpriv", "util-linux"}
	Pivot    = Tool{"pivot_root", "util-linux"}
	Chroot   = Tool{"chroot", "coreutils"}
	Losetup  = Tool{"losetup", "mount"}
	Ipcmk    = Tool{"ipcmk", "util-linux"}
	Ipcs     = Tool{"ipcs", "util-linux"}
	Hostname = Tool{"hostname", "hostname"}
	IP       = Tool{"ip", "iproute2"}
	Bridge   = Tool{"bridge", "iproute2"}
	Ss       = Tool{"ss", "iproute2"}
	Nft      = Tool{"nft", "nftables"}
	Ping     = Tool{"ping", "iputils-ping"}
	Tcpdump  = Tool{"tcpdump", "tcpdump"}
	Socat    = Tool{"socat", "socat"}
	Busybox  = Tool{"busybox", "busybox"}
	Grep     = Tool{"grep", "grep"}
	Sysctl   = Tool{"sysctl", "procps"}
	Nc       = Tool{"nc", "netcat-openbsd"}
	Ps       = Tool{"ps", "procps"}
	Taskset  = Tool{"taskset", "util-linux"}
	DD       = Tool{"dd", "coreutils"}
	Sleep    = Tool{"sleep", "coreutils"}
	Mkdir    = Tool{"mkdir", "coreutils"}
	Rmdir    = Tool{"rmdir", "coreutils"}
	Cat      = Tool{"cat", "coreutils"}
	Truncate = Tool{"truncate", "coreutils"}
	Timeout  = Tool{"timeout", "coreutils"}
	Dmsetup  = Tool{"dmsetup", "dmsetup"}
	MkfsExt4 = Tool{"mkfs.ext4", "e2fsprogs"}
	Blkid    = Tool{"blkid", "util-linux"}
	Sed      = Tool{"sed", "sed"}
)
