package probe

// Requirements that can be met in several ways.
var (
	anyCgroup = Requirement{Name: "cgroups that can be limited, v2 or v1", AnyOf: [][]ID{
		{"cgroup.v2.memory", "cgroup.v2.pids", "cgroup.v2.cpu"}, {"cgroup.v1.memory", "cgroup.v1.pids", "cgroup.v1.cpu"},
	}}
	anyStorage = Requirement{Name: "a layered store: overlay, aufs, btrfs, zfs or device-mapper", AnyOf: [][]ID{
		{"overlay.works", "dir.d-type"}, {"fs.aufs"}, {"fs.btrfs"}, {"zfs", "zfs.tools"}, {"dm.thin-pool"},
	}}
	anyNAT = Requirement{Name: "masquerading: nftables or legacy iptables", AnyOf: [][]ID{
		{"nft.masq", "nft.nat"}, {"iptables.legacy.filter", "iptables.legacy.nat", "xt.masquerade", "xt.conntrack"},
	}}
	anyPause = Requirement{Name: "pause: cgroup.freeze or the v1 freezer", AnyOf: [][]ID{{"cgroup.freeze"}, {"cgroup.v1.freezer"}}}
	anyDevs  = Requirement{Name: "device lists: BPF on v2 or the v1 controller", AnyOf: [][]ID{{"cgroup.v2.devices"}, {"cgroup.v1.devices"}}}
)

// with appends requirements that stand alone to shared ones.
func with(shared []Requirement, ids ...ID) []Requirement {
	return append(append([]Requirement{}, shared...), Each(ids...)...)
}

// Profiles returns what --for knows; the first one is the default.
func Profiles() []Profile {
	return []Profile{
		{Name: "container", Title: "a whole container, as root", Required: with([]Requirement{anyCgroup, anyStorage, anyNAT, anyPause, anyDevs},
			"ns.mnt", "ns.uts", "ns.ipc", "ns.pid", "ns.net", "mount.pivot-root", "mount.mqueue", "mount.devpts", "net.veth", "net.bridge", "seccomp", "caps"),
			Optional: []ID{"ns.user", "ns.time", "ns.cgroup", "proc.keys", "cgroup.kill", "cgroup.psi"}},
		{Name: "namespaces", Title: "the labs on namespaces", Required: Each("ns.mnt", "ns.uts", "ns.ipc", "ns.pid", "ns.net", "ns.cgroup", "ns.user"),
			Optional: []ID{"ns.time", "ns.limits", "proc.pidfd-setns"}},
		{Name: "rootless", Title: "containers without root", Required: with([]Requirement{{
			Name: "a union file system in a user namespace", AnyOf: [][]ID{{"overlay.userxattr"}, {"fuse"}}}},
			"ns.user.unprivileged", "ns.subid", "dir.xattr.user"), Optional: []ID{"net.tun", "cgroup.delegation", "mount.proc"}},
		{Name: "cgroups", Title: "the labs on cgroups", Required: []Requirement{anyCgroup, anyPause, anyDevs},
			Optional: []ID{"cgroup.kill", "cgroup.psi", "proc.born-in-cgroup"}},
		{Name: "overlay", Title: "the overlay2 driver", Required: Each("fs.overlay", "overlay.works", "overlay.statedir", "dir.d-type", "dir.upper"),
			Optional: []ID{"overlay.metacopy", "overlay.redirect-dir", "overlay.index", "overlay.volatile", "dir.quota"}},
		{Name: "aufs", Title: "the aufs driver, in the kernel or by FUSE", Required: []Requirement{{Name: "aufs or FUSE", AnyOf: [][]ID{{"fs.aufs"}, {"fuse"}}}}},
		{Name: "btrfs", Title: "the btrfs driver", Required: Each("fs.btrfs", "loop")},
		{Name: "zfs", Title: "the zfs driver", Required: with([]Requirement{{Name: "zfs in the kernel or by FUSE", AnyOf: [][]ID{{"zfs"}, {"fuse"}}}}, "zfs.tools")},
		{Name: "devicemapper", Title: "the devicemapper driver", Required: Each("dm", "dm.thin-pool", "dm.thin", "loop"), Optional: []ID{"dm.tools", "dm.snapshot"}},
		{Name: "netns", Title: "bridge networks", Required: with([]Requirement{anyNAT}, "ns.net", "net.veth", "net.bridge"),
			Optional: []ID{"conntrack", "net.br-netfilter", "net.forward", "iptables.command", "net.tun"}},
		{Name: "vxlan", Title: "overlay networks over several hosts", Required: Each("ns.net", "net.veth", "net.bridge", "net.vxlan"), Optional: []ID{"net.bridge.vlan-filtering", "net.xfrm", "xt.bpf"}},
		{Name: "macvlan", Title: "macvlan networks", Required: Each("ns.net", "net.macvlan", "net.veth"), Optional: []ID{"net.dummy"}},
		{Name: "ipvlan", Title: "ipvlan networks", Required: Each("ns.net", "net.ipvlan", "net.veth"), Optional: []ID{"net.dummy"}},
		{Name: "volumes", Title: "volumes and mounts", Required: Each("ns.mnt", "fs.tmpfs"), Optional: []ID{"mount.idmap", "dir.idmap", "mount.open-tree", "mount.setattr", "dir.quota"}},
		{Name: "security", Title: "capabilities, seccomp, security modules", Required: Each("caps", "seccomp"),
			Optional: []ID{"seccomp.notify", "caps.ambient", "lsm", "lsm.apparmor", "lsm.selinux", "lsm.landlock"}},
		{Name: "nested", Title: "containers inside this container", Required: Each("ns.user", "mount.proc", "mount.pivot-root")},
	}
}

// FindProfile returns the profile with that name.
func FindProfile(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// IDs lists the rows that a profile looks at.
func (p Profile) IDs() []ID {
	list := append([]ID{}, p.Optional...)
	for _, r := range p.Required {
		for _, way := range r.AnyOf {
			list = append(list, way...)
		}
	}
	return list
}

// ByConfig keeps the requirements that a kernel config can say anything about.
func ByConfig(list []Requirement) []Requirement {
	var kept []Requirement
	for _, r := range list {
		tells := false
		for _, way := range r.AnyOf {
			for _, id := range way {
				p, _ := Find(id)
				tells = tells || len(p.Symbols) > 0
			}
		}
		if tells {
			kept = append(kept, r)
		}
	}
	return kept
}
