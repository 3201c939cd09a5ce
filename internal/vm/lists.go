package vm

import "sync"

// The three lists that decide what a guest can do. They are data, so that a lab that
// needs more only adds a name.

// DefaultPrograms are the host's own programs that by-hand steps use, beside what
// busybox gives. What this machine lacks is left out and named in Initramfs.Missing.
var DefaultPrograms = []string{
	"bash",                                                                                          // for people: it edits lines and completes names
	"unshare", "nsenter", "setpriv", "lsns", "prlimit", "taskset", "capsh", "ipcmk", "ipcs", "perl", // namespaces, limits, capabilities
	"mount", "umount", "findmnt", "losetup", "mountpoint", "dmsetup", "blkid", // mounts and block devices
	"mkfs.ext4", "mkfs.xfs", "xfs_quota", "mkfs.btrfs", "btrfs", "getfattr", "setfattr",
	"cp", "ls", "stat", "df", "du", "dd", "date", "ps", // where busybox lacks options that labs show
	"ip", "bridge", "tc", "ss", "nft", "iptables", "iptables-save", "iptables-legacy", "conntrack", "tcpdump", "ping", "socat", "jq", "runc",
}

// DefaultModules are the kernel modules that labs need. They are loaded when first
// used, by the kernel's own request (see modprobe.go).
var DefaultModules = []string{
	"overlay", "fuse", "squashfs", "erofs", "ext4", "xfs", "btrfs", "isofs", "vfat", // file systems
	"quota_v2", "binfmt_misc", "virtiofs",
	"loop", "dm_mod", "dm_thin_pool", "dm_snapshot", "dm_zero", "dm_flakey", "dm_delay", "virtio_blk", "zram",
	"veth", "bridge", "br_netfilter", "dummy", "ipvlan", "macvlan", "macvtap", "vxlan", "geneve", "tun", "tap", "ifb", "vrf", "8021q",
	"ipip", "ip_gre", "wireguard",
	"sch_htb", "sch_netem", "sch_tbf", "sch_ingress", "sch_fq", "cls_u32", "cls_bpf", "cls_matchall", "cls_cgroup", "act_mirred", "act_police",
	"nf_tables", "nft_chain_nat", "nft_compat", "nft_ct", "nft_fib_inet", "nft_limit", "nft_log", "nft_masq", "nft_nat",
	"nft_redir", "nft_reject_inet", "nft_objref", "nft_quota", "nft_numgen", "nft_hash", "nft_socket", "nft_connlimit",
	"ip_tables", "iptable_filter", "iptable_nat", "iptable_mangle", "iptable_raw", "ip6_tables", "ip6table_filter", "ip6table_nat", "ip6table_mangle",
	"xt_addrtype", "xt_cgroup", "xt_comment", "xt_conntrack", "xt_LOG", "xt_MASQUERADE", "xt_REDIRECT", "xt_TCPMSS", "xt_TRACE", "xt_bpf",
	"xt_connmark", "xt_limit", "xt_mac", "xt_mark", "xt_multiport", "xt_nat", "xt_owner", "xt_physdev", "xt_recent", "xt_set", "xt_state",
	"xt_statistic", "xt_tcpudp", "xt_u32", "xt_ipvs", "ipt_REJECT", "ip6t_REJECT", "nf_log_syslog", "nf_conntrack_netlink",
	"ip_set", "ip_set_hash_ip", "ip_set_hash_net", "ip_vs", "ip_vs_rr", "ip_vs_sh", "ip_vs_wrr",
	"inet_diag", "tcp_diag", "udp_diag", "unix_diag", "af_packet_diag", "netlink_diag",
}

// eagerModules carry the agent's line to the host, so they are loaded before it.
var eagerModules = []string{"virtio_pci", "virtio_console"}

// diskModules mount the disk with the guest's /usr.
var diskModules = []string{"virtio_pci", "virtio_blk", "erofs"}

// plugins are files that a program opens by name at run time, so that they are in no
// DT_NEEDED: iptables finds its matches and targets this way.
var plugins = sync.OnceValue(func() map[string][]string {
	return map[string][]string{
		"iptables": {"/usr/lib/x86_64-linux-gnu/xtables/*.so", "/usr/lib64/xtables/*.so", "/usr/lib/xtables/*.so"},
	}
})
