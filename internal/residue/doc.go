// Package residue compares the real machine before and after a lab. What
// differs and is cutaway's is residue, and there must be none.
//
// A snapshot is a set of lines in each category, each read from the kernel:
//
//	mount      /proc/self/mountinfo
//	link       netlink RTM_GETLINK
//	cgroup     folders below every cgroup mount
//	loop       /sys/block/loop*/loop/backing_file
//	dm         /sys/block/dm-*/dm/name
//	process    /proc/*/environ with a run's token
//	namespace  /proc/*/ns/* of such processes
//	firewall   the generation of the nftables rules, /proc/net/ip_tables_names
//	sysctl     /proc/sys, without what changes by itself
//	file       the run folder, /dev, /run/netns
//
// A machine lives on while a lab runs: other programs mount, connect and fork.
// Everything that a run makes carries its id, so changes without it are reported
// apart, as made by others; a strict comparison counts them all.
package residue
