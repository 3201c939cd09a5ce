package probe

func securityRows() []Probe {
	flag := func(id ID, name, since, effect string) Probe {
		return Probe{ID: id, Title: "seccomp flag " + name, Since: since, Symbols: []string{"SECCOMP_FILTER"}, Live: "seccomp:" + name, Effect: effect}
	}
	lsm := func(id ID, title, since, symbol, live, effect, fix string) Probe {
		return Probe{ID: id, Title: title, Since: since, Symbols: []string{symbol}, Live: live, Effect: effect, Fix: fix, built: true}
	}
	list := []Probe{
		{ID: "seccomp", Title: "seccomp filters", Since: "3.17", Symbols: []string{"SECCOMP", "SECCOMP_FILTER"}, File: "/proc/sys/kernel/seccomp/actions_avail", Live: "seccomp:",
			Effect: "a container may make every system call"},
		flag("seccomp.tsync", "TSYNC", "3.17", "a filter does not reach the other threads of a process"),
		flag("seccomp.log", "LOG", "4.14", "refused calls are not logged"),
		flag("seccomp.spec-allow", "SPEC_ALLOW", "4.17", "filters slow programs down by the Spectre mitigation"),
		flag("seccomp.new-listener", "NEW_LISTENER", "5.0", "no other process can decide about a call"),
		flag("seccomp.wait-killable", "WAIT_KILLABLE_RECV", "5.19", "a supervised call can be interrupted by any signal"),
		{ID: "seccomp.notify", Title: "seccomp user notification", Since: "5.0", Symbols: []string{"SECCOMP_FILTER"}, File: "/proc/sys/kernel/seccomp/actions_avail user_notif", Live: "seccomp-action",
			Effect: "the lab on supervised system calls does not work"},
		{ID: "seccomp.notify.continue", Title: "a supervised call may go on", Since: "5.5", Symbols: []string{"SECCOMP_FILTER"}, Live: "notify:continue",
			Effect: "a supervisor has to do every call itself"},
		{ID: "seccomp.notify.addfd", Title: "a supervisor may hand a file in", Since: "5.9", Symbols: []string{"SECCOMP_FILTER"}, Live: "notify:addfd",
			Effect: "a supervisor cannot open files for a container"},
		{ID: "caps", Title: "capabilities", Live: "caps", File: "/proc/sys/kernel/cap_last_cap",
			Effect: "root cannot be taken apart"},
		{ID: "caps.ambient", Title: "ambient capabilities", Since: "4.3", Live: "caps:ambient",
			Effect: "a program without uid 0 cannot pass capabilities on"},
		{ID: "lsm", Title: "list of active security modules", Since: "6.8", Symbols: []string{"SECURITY"}, Live: "lsm",
			Effect: "whether AppArmor or SELinux is active cannot be told for sure", Fix: "mount -t securityfs securityfs /sys/kernel/security   # kernels before 6.8"},
		lsm("lsm.apparmor", "AppArmor is active", "", "SECURITY_APPARMOR", "lsm:apparmor", "containers run without an AppArmor profile", "apt-get install apparmor   # and apparmor in lsm= on the kernel command line; SELinux systems do without"),
		lsm("lsm.selinux", "SELinux is active", "", "SECURITY_SELINUX", "lsm:selinux", "containers run without an SELinux label", "apt-get install selinux-basics   # and selinux in lsm= on the kernel command line; AppArmor systems do without"),
		lsm("lsm.bpf", "BPF security hooks are active", "5.7", "BPF_LSM", "lsm:bpf", "no security rules by BPF program", "update-grub   # after adding bpf to lsm= in GRUB_CMDLINE_LINUX"),
		lsm("lsm.landlock", "Landlock is active", "5.13", "SECURITY_LANDLOCK", "landlock", "a program cannot restrict itself without root", "update-grub   # after adding landlock to lsm= in GRUB_CMDLINE_LINUX"),
	}
	for i := range list {
		list[i].Privilege = AnyUser
	}
	return rows(groupSecurity, plain, list)
}
