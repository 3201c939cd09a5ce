package probe

func namespaceRows() []Probe {
	return rows(groupNamespaces, owner, []Probe{
		{ID: "ns.mnt", Title: "mount namespace", Symbols: []string{"NAMESPACES"}, File: "/proc/self/ns/mnt", Live: "unshare:mnt",
			Effect: "a container cannot have a file tree of its own"},
		{ID: "ns.uts", Title: "uts namespace", Symbols: []string{"UTS_NS"}, File: "/proc/self/ns/uts", Live: "unshare:uts",
			Effect: "a container cannot have a host name of its own"},
		{ID: "ns.ipc", Title: "ipc namespace", Symbols: []string{"IPC_NS"}, File: "/proc/self/ns/ipc", Live: "unshare:ipc",
			Effect: "containers see each other's message queues and shared memory"},
		{ID: "ns.pid", Title: "pid namespace", Symbols: []string{"PID_NS"}, File: "/proc/self/ns/pid", Live: "pidns",
			Effect: "a container sees and can signal the processes of the machine"},
		{ID: "ns.net", Title: "net namespace", Symbols: []string{"NET_NS"}, File: "/proc/self/ns/net", Live: "unshare:net",
			Effect: "a container cannot have network devices, addresses and firewall rules of its own"},
		{ID: "ns.cgroup", Title: "cgroup namespace", Since: "4.6", Symbols: []string{"CGROUPS"}, File: "/proc/self/ns/cgroup", Live: "unshare:cgroup",
			Effect: "a container sees the cgroup paths of the machine"},
		{ID: "ns.time", Title: "time namespace", Since: "5.6", Symbols: []string{"TIME_NS"}, File: "/proc/self/ns/time", Live: "timens", place: clock,
			Effect: "a container cannot have an uptime of its own"},
		{ID: "ns.user", Title: "user namespace, with a map and used", Symbols: []string{"USER_NS"}, Live: "userns", place: plain, Privilege: AnyUser,
			Effect: "no rootless containers, and no uid 0 that is nobody outside", Fix: fixMaxUserns},
		{ID: "ns.user.unprivileged", Title: "user namespace made by an ordinary user", Symbols: []string{"USER_NS"}, Live: "userns", place: stranger, Privilege: AnyUser,
			Effect: "labs need sudo, and rootless containers do not start", Fix: fixUsernsClone},
		{ID: "ns.limits", Title: "limits on the number of namespaces", Since: "4.9", Symbols: []string{"USER_NS"}, File: "/proc/sys/user/max_uts_namespaces", Live: "nslimit", place: plain, Privilege: AnyUser,
			Effect: "the lab on namespace limits has nothing to show"},
		{ID: "ns.subid", Title: "subordinate ids and newuidmap", Live: "subid", place: plain, Privilege: AnyUser,
			Effect: "a rootless container has one uid only", Fix: "apt-get install uidmap && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER   # shadow-utils elsewhere"},
	})
}

func processRows() []Probe {
	return rows(groupProcess, plain, []Probe{
		{ID: "proc.clone3", Title: "clone3", Since: "5.3", Live: "call:clone3", Privilege: AnyUser,
			Effect: "no process can be started inside a cgroup or with a chosen pid"},
		{ID: "proc.clone-into-cgroup", Title: "clone3 with CLONE_INTO_CGROUP", Since: "5.7", Live: "call:clone3-cgroup", Privilege: AnyUser,
			Effect: "a process is outside of its cgroup for a moment, and may fork there"},
		{ID: "proc.born-in-cgroup", Title: "a process born inside a v2 cgroup", Since: "5.7", Symbols: []string{"CGROUPS"}, Live: "clone-into", Privilege: Root,
			Effect: "a process has to be moved into its cgroup after it was started", Fix: fixUnified},
		{ID: "proc.pidfd-open", Title: "pidfd_open", Since: "5.3", Live: "call:pidfd_open", Privilege: AnyUser,
			Effect: "a process can be named by pid only, which may have been given to another one"},
		{ID: "proc.pidfd-signal", Title: "pidfd_send_signal", Since: "5.1", Live: "call:pidfd_send_signal", Privilege: AnyUser,
			Effect: "a signal may hit a stranger that got the pid"},
		{ID: "proc.pidfd-wait", Title: "waitid by pidfd", Since: "5.4", Live: "call:pidfd_wait", Privilege: AnyUser,
			Effect: "waiting for a child is by pid only"},
		{ID: "proc.pidfd-getfd", Title: "pidfd_getfd", Since: "5.6", Live: "call:pidfd_getfd", Privilege: AnyUser,
			Effect: "a supervisor cannot take a file descriptor out of a process"},
		{ID: "proc.pidfd-setns", Title: "setns by pidfd", Since: "5.8", Symbols: []string{"NET_NS"}, Live: "pidfd-setns", place: network,
			Effect: "exec enters namespaces one by one, through /proc/PID/ns"},
		{ID: "proc.keys", Title: "kernel keyrings", Symbols: []string{"KEYS"}, Live: "call:keyctl", Privilege: AnyUser,
			Effect: "a runtime cannot give a container a session keyring of its own"},
	})
}
