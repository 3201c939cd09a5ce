package probe

import "strings"

// The lists of kernel options that others ask for, as facts about a config
// and judged by alternatives: an option for cgroup v1 does not matter where v2
// does the same, and legacy iptables tables do not matter where nftables does
// it. The live probes have the last word on the running kernel.

// Sections of ConfigNeeds.
const (
	sectionNecessary  = "Docker: generally necessary"
	sectionOptional   = "Docker: optional"
	sectionNetwork    = "Docker: network drivers"
	sectionStorage    = "Docker: storage drivers"
	sectionKubernetes = "Kubernetes distributions, beyond Docker's list"
	sectionLabs       = "wanted by the labs, on nobody's list"
)

const necessary = `
	NAMESPACES  NET_NS  PID_NS  IPC_NS  UTS_NS  KEYS  POSIX_MQUEUE
	CGROUPS  CGROUP_SCHED  CPUSETS  MEMCG  VETH  BRIDGE  BRIDGE_NETFILTER
	CGROUP_DEVICE|CGROUP_BPF,>=4.15  CGROUP_DEVICE,<4.15
	CGROUP_CPUACCT,<4.15  CGROUP_FREEZER,<5.2
	IP_NF_FILTER|NF_TABLES  IP_NF_MANGLE|NF_TABLES  IP_NF_RAW|NF_TABLES  IP_NF_NAT|NF_TABLES+NFT_NAT
	IP_NF_TARGET_MASQUERADE|NETFILTER_XT_TARGET_MASQUERADE|NF_TABLES+NFT_MASQ  NF_NAT
	IP6_NF_FILTER|NF_TABLES  IP6_NF_MANGLE|NF_TABLES  IP6_NF_RAW|NF_TABLES  IP6_NF_NAT|NF_TABLES+NFT_NAT
	IP6_NF_TARGET_MASQUERADE|NETFILTER_XT_TARGET_MASQUERADE|NF_TABLES+NFT_MASQ
	NETFILTER_XT_MATCH_ADDRTYPE|NFT_FIB  NETFILTER_XT_MATCH_CONNTRACK|NFT_CT  NETFILTER_XT_MARK|NF_TABLES
	DEVPTS_MULTIPLE_INSTANCES,<4.8  NF_NAT_IPV4,<=5.1  NF_NAT_NEEDED,<=5.2`

// Swarm's load balancer alone wants IPVS, so that it is not necessary here.
const optional = `
	NETFILTER_XT_MATCH_IPVS  USER_NS  SECCOMP  SECCOMP_FILTER  CGROUP_PIDS
	CGROUP_CPUACCT,>=4.15  CGROUP_FREEZER,>=5.2
	MEMCG_SWAP,<5.8  MEMCG_SWAP_ENABLED,<5.8  MEMCG_KMEM,<=4.5  RESOURCE_COUNTERS,<=3.18
	IOSCHED_CFQ,<5.0  CFQ_GROUP_IOSCHED,<5.0  BLK_CGROUP  BLK_DEV_THROTTLING
	CGROUP_PERF  CGROUP_HUGETLB  NET_CLS_CGROUP|CGROUP_BPF  CGROUP_NET_PRIO  NETPRIO_CGROUP,<=3.13
	CFS_BANDWIDTH  FAIR_GROUP_SCHED  IP_NF_TARGET_REDIRECT|NETFILTER_XT_TARGET_REDIRECT|NFT_REDIR
	IP_SCTP  IP_VS  IP_VS_NFCT  IP_VS_PROTO_TCP  IP_VS_PROTO_UDP  IP_VS_RR
	SECURITY_SELINUX|SECURITY_APPARMOR
	NF_TABLES  NFT_CT  NFT_FIB  NFT_FIB_IPV4  NFT_FIB_IPV6  NFT_MASQ  NFT_NAT
	EXT3_FS|EXT4_USE_FOR_EXT2|EXT4_FS  EXT4_FS  EXT4_FS_POSIX_ACL  EXT4_FS_SECURITY
	LEGACY_VSYSCALL_EMULATE|LEGACY_VSYSCALL_XONLY`

const networkDrivers = `
	VXLAN  BRIDGE_VLAN_FILTERING  CRYPTO  CRYPTO_AEAD  CRYPTO_GCM  CRYPTO_SEQIV  CRYPTO_GHASH|CRYPTO_LIB_GHASH|CRYPTO_LIB_GF128HASH
	XFRM  XFRM_USER  XFRM_ALGO  INET_ESP  NETFILTER_XT_MATCH_BPF  INET_XFRM_MODE_TRANSPORT,<=5.3
	IPVLAN  MACVLAN  DUMMY  NF_NAT_FTP  NF_CONNTRACK_FTP  NF_NAT_TFTP  NF_CONNTRACK_TFTP`

const storageDrivers = `OVERLAY_FS|BTRFS_FS+BTRFS_FS_POSIX_ACL|AUFS_FS|BLK_DEV_DM+DM_THIN_PROVISIONING|ZFS`

const kubernetes = `
	INET  PROC_FS  NETFILTER  NF_CONNTRACK  NETFILTER_XTABLES|NF_TABLES  NETFILTER_NETLINK  NETFILTER_ADVANCED  IPV6  LLC  STP
	IP_NF_TARGET_REJECT|NFT_REJECT  RT_GROUP_SCHED  IP_SET  IP_SET_HASH_IP  IP_SET_HASH_NET  IP_VS_SH  IP_VS_WRR
	NETFILTER_XT_MATCH_COMMENT|NF_TABLES  NETFILTER_XT_MATCH_MULTIPORT|NF_TABLES  NETFILTER_XT_MATCH_STATISTIC|NFT_NUMGEN
	NETFILTER_XT_MATCH_RECENT|NF_TABLES  NETFILTER_XT_SET|NF_TABLES  NETFILTER_XT_NAT|NFT_NAT  BLK_CGROUP_IOCOST  CHECKPOINT_RESTORE`

const labsOnly = `
	BLK_DEV_LOOP  FUSE_FS  TUN  TIME_NS,>=5.6  OVERLAY_FS_REDIRECT_DIR  OVERLAY_FS_METACOPY  OVERLAY_FS_INDEX
	TMPFS_XATTR  SECURITY_LANDLOCK  XFS_QUOTA|QUOTA+QFMT_V2  PSI  NF_CT_NETLINK  SECURITYFS
	NETFILTER_XTABLES_LEGACY,>=6.17  CPUSETS_V1,>=6.12  MEMCG_V1,>=6.11`

// ConfigNeeds returns all the lists.
func ConfigNeeds() []ConfigNeed {
	var list []ConfigNeed
	for _, part := range []struct {
		section  string
		required bool
		words    string
	}{
		{sectionNecessary, true, necessary}, {sectionOptional, false, optional},
		{sectionNetwork, false, networkDrivers}, {sectionStorage, true, storageDrivers},
		{sectionKubernetes, false, kubernetes}, {sectionLabs, false, labsOnly},
	} {
		for _, word := range strings.Fields(part.words) {
			list = append(list, ConfigNeed{part.section, part.required, strings.ReplaceAll(word, ",", " ")})
		}
	}
	return list
}
