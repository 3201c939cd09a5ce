package probe

// A liveFunc asks the kernel one question inside a throwaway child. The
// argument is what follows the colon in Probe.Live.
type liveFunc func(s *stage, arg string) Finding

// liveFunctions is the table of contents of the live_*.go files.
func liveFunctions() map[string]liveFunc {
	return map[string]liveFunc{
		// live_ns.go: namespaces
		"unshare": unshareKind, "pidns": newPidns, "userns": newUserns, "timens": newTimens,
		"nslimit": namespaceLimit, "subid": subordinateIDs,
		// live_process.go: calls that answer to a bogus argument
		"call": bogusCall, "pidfd-setns": pidfdSetns, "clone-into": cloneIntoCgroup,
		// live_mount.go
		"pivot_root": pivotRoot, "procfs": mountProc, "mount": mountKind, "fsopen": registered, "xfs-quota": xfsQuota,
		// live_cgroup_v1.go, live_cgroup_v2.go
		"v1": v1Controller, "v1any": v1Mounted, "v2": v2Controller, "v2knob": v2Knob, "v2mount": v2Mount,
		"v2file": v2CoreFile, "psi": pressure, "v2devices": deviceProgram, "delegation": delegation,
		// live_overlay.go, live_overlay_options.go
		"overlay": overlayOnTmpfs, "overlay-state": overlayOnState, "userxattr": overlayUserxattr,
		"ovl-option": overlayOption, "ovl-data": overlayDataOnly, "ovl-append": overlayAppendedLayers,
		"ovl-detached": overlayDetached,
		// live_dir.go: properties of the state folder
		"d_type": directoryTypes, "xattr": extendedAttribute, "reflink": reflink, "upper": upperFilesystem,
		"quota": projectQuota, "copy": plainCopy,
		// live_idmap.go
		"idmap": idmappedMount, "ovl-idmap": overlayOnIdmapped,
		// live_device.go
		"zfs": zfsDevice, "dm": deviceMapper, "dm-target": deviceMapperTarget, "tools": toolsInPath,
		"loop": loopDevice, "fuse": fuseMount, "tun": tunDevice,
		// live_link.go
		"link": newLink, "xfrm": xfrmSocket,
		// live_netfilter.go, live_nft.go
		"xtables": legacyTable, "xt": xtExtension, "nft": nftSubsystem, "nft-rule": nftRule,
		"conntrack": conntrackDump, "iptables": iptablesCommand,
		// live_sysctl.go
		"sysctl": hostSysctl, "sysctl-write": writeSysctl,
		// live_security.go, live_notify.go
		"seccomp": seccompFlag, "seccomp-action": seccompAction, "notify": seccompNotify,
		"caps": capabilityBounds, "lsm": activeLSM, "landlock": landlockABI,
	}
}
