package oci

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func deviceVariations() []variation {
	mode, id := os.FileMode(0o640), uint32(7)
	device := func(d specs.LinuxDevice) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d) }
	}
	show := "ls -l /dev/%s | awk '{print $1,$3,$4,$5,$6}'"
	return []variation{
		{name: "device/default ones", script: "for d in null zero full random urandom tty; do ls -l /dev/$d | awk '{print $1,$3,$4,$5,$6}'; done"},
		{name: "device/links", script: "for l in fd stdin stdout stderr ptmx core; do readlink /dev/$l; done"},
		{name: "device/null works", script: "echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo x > /dev/full"},
		{name: "device/character", script: fmt.Sprintf(show, "mine"), change: device(specs.LinuxDevice{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: &mode, UID: &id, GID: &id})},
		{name: "device/block", script: fmt.Sprintf(show, "disk"), change: device(specs.LinuxDevice{Path: "/dev/disk", Type: "b", Major: 7, Minor: 77})},
		{name: "device/fifo", script: "ls -l /dev/pipe | cut -c1-10", change: device(specs.LinuxDevice{Path: "/dev/pipe", Type: "p"})},
		{name: "device/in a new folder", script: "ls -l /dev/a/b/mine | cut -c1-10", change: device(specs.LinuxDevice{Path: "/dev/a/b/mine", Type: "c", Major: 1, Minor: 3})},
		{name: "device/default overridden", script: fmt.Sprintf(show, "null"), change: device(specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode, UID: &id}),
			differ: "runc 1.1 opens /dev/null anew as an owner who may not"},
		{name: "device/bad type", change: device(specs.LinuxDevice{Path: "/dev/mine", Type: "x", Major: 1, Minor: 3}), error: "invalid device type"},
		{name: "device/cgroup refuses", script: "head -c1 /dev/disk 2>&1 | tail -1", change: device(specs.LinuxDevice{Path: "/dev/disk", Type: "b", Major: 254, Minor: 0})},
		{name: "device/cgroup list", script: "cat /sys/fs/cgroup/devices/devices.list | sort", differ: "runc 1.1 still allows 10:200, /dev/net/tun; runc 1.2 does not"},
		{name: "device/cgroup allows", script: "cat /sys/fs/cgroup/devices/devices.list | sort", change: func(s *specs.Spec) {
			major, minor := int64(10), int64(229)
			s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rw"})
		}, differ: "runc 1.1 still allows 10:200, /dev/net/tun; runc 1.2 does not"},
	}
}

func pathVariations() []variation {
	masked := func(p ...string) func(*specs.Spec) { return func(s *specs.Spec) { s.Linux.MaskedPaths = p } }
	readonly := func(p ...string) func(*specs.Spec) { return func(s *specs.Spec) { s.Linux.ReadonlyPaths = p } }
	return []variation{
		{name: "masked/defaults", script: "wc -c < /proc/timer_list; ls /sys/firmware | wc -l; wc -c < /proc/keys"},
		{name: "masked/file", script: "wc -c < /etc/file", change: masked("/etc/file")},
		{name: "masked/folder", script: "ls /data | wc -l; touch /data/x 2>&1; ls -ld /data | cut -c1-10", change: masked("/data")},
		{name: "masked/missing", script: "echo ok", change: masked("/no/such/path")},
		{name: "masked/none", script: "test -s /proc/timer_list && echo readable", change: masked()},
		{name: "readonly/defaults", script: "for p in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do " +
			"grep \" $p \" /proc/self/mountinfo | cut -d' ' -f4-6; done; echo x > /proc/sys/kernel/hostname"},
		{name: "readonly/folder", script: "touch /data/x 2>&1; grep ' /data ' /proc/self/mountinfo | cut -d' ' -f5,6", change: readonly("/data")},
		{name: "readonly/file", script: "echo x >> /etc/file 2>&1", change: readonly("/etc/file")},
		{name: "readonly/missing", script: "echo ok", change: readonly("/no/such/path")},
		{name: "readonly/none", script: "grep -c ' /proc/sys ' /proc/self/mountinfo", change: readonly()},
	}
}

func namespaceVariations() []variation {
	without := func(t specs.LinuxNamespaceType) func(*specs.Spec) {
		return func(s *specs.Spec) {
			var kept []specs.LinuxNamespace
			for _, ns := range s.Linux.Namespaces {
				if ns.Type != t {
					kept = append(kept, ns)
				}
			}
			s.Linux.Namespaces = kept
			if t == specs.UTSNamespace {
				s.Hostname = ""
			}
		}
	}
	join := func(t specs.LinuxNamespaceType, file string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			without(t)(s)
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: "/proc/self/ns/" + file})
		}
	}
	user := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 1000}, {ContainerID: 1000, HostID: 200000, Size: 1}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 2000}}
	}
	same := func(file string) string { return "readlink /proc/self/ns/" + file }
	return []variation{
		{name: "namespace/without network", script: same("net"), change: without(specs.NetworkNamespace)},
		{name: "namespace/without ipc", script: same("ipc"), change: without(specs.IPCNamespace)},
		{name: "namespace/without uts", script: same("uts"), change: without(specs.UTSNamespace)},
		{name: "namespace/without cgroup", script: same("cgroup") + "; grep memory /proc/self/cgroup | cut -d: -f3", change: without(specs.CgroupNamespace)},
		{name: "namespace/without pid", script: "test $$ -gt 1 && echo many", change: without(specs.PIDNamespace)},
		{name: "namespace/without mount", change: without(specs.MountNamespace), script: "echo x"},
		{name: "namespace/join network", script: same("net"), change: join(specs.NetworkNamespace, "net")},
		{name: "namespace/join ipc", script: same("ipc"), change: join(specs.IPCNamespace, "ipc")},
		{name: "namespace/join uts", script: same("uts"), change: func(s *specs.Spec) { join(specs.UTSNamespace, "uts")(s); s.Hostname = "" }},
		{name: "namespace/join missing", change: func(s *specs.Spec) {
			without(specs.NetworkNamespace)(s)
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/no/such/ns"})
		}, error: "no such file or directory"},
		{name: "namespace/twice", change: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
		}, error: "malformed spec file: duplicated ns"},
		{name: "namespace/unknown", change: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "nonsense"})
		}, error: "does not exist"},
		{name: "namespace/loopback", script: "ip addr show lo | grep -c 'UP,LOWER_UP\\|127.0.0.1'"},
		{name: "namespace/cgroup root", script: "grep memory: /proc/self/cgroup | cut -d: -f3"},
		{name: "namespace/user", script: "id -u; cat /proc/self/uid_map /proc/self/gid_map; grep ^Cap /proc/self/status", change: user},
		{name: "namespace/user owns nothing", script: "ls -ln /etc/file | awk '{print $3,$4}'; touch /etc/new 2>&1", change: user},
		{name: "namespace/user devices", script: "ls -l /dev/null /dev/tty | awk '{print $1,$3,$4,$5,$6}'; echo x > /dev/null && echo ok", change: user},
		{name: "namespace/user 1000 inside", script: "id -u; id -g", change: func(s *specs.Spec) {
			user(s)
			s.Process.User = specs.User{UID: 1000, GID: 1000}
		}},
		{name: "namespace/user id not mapped", change: func(s *specs.Spec) {
			user(s)
			s.Process.User = specs.User{UID: 5000}
		}, script: "id"},
		{name: "namespace/mappings without it", script: "id -u", change: func(s *specs.Spec) { user(s); without(specs.UserNamespace)(s) }},
	}
}

func resourceVariations() []variation {
	number := func(n int64) *int64 { return &n }
	unsigned := func(n uint64) *uint64 { return &n }
	memory := func(m specs.LinuxMemory) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Resources.Memory = &m }
	}
	cpu := func(c specs.LinuxCPU) func(*specs.Spec) { return func(s *specs.Spec) { s.Linux.Resources.CPU = &c } }
	cat := func(files ...string) string {
		out := "cd /sys/fs/cgroup"
		for _, f := range files {
			out += "; cat " + f
		}
		return out
	}
	return []variation{
		{name: "resources/memory limit", script: cat("memory/memory.limit_in_bytes"), change: memory(specs.LinuxMemory{Limit: number(64 << 20)})},
		{name: "resources/memory soft", script: cat("memory/memory.soft_limit_in_bytes"), change: memory(specs.LinuxMemory{Reservation: number(32 << 20)})},
		{name: "resources/memory unlimited", script: cat("memory/memory.limit_in_bytes"), change: memory(specs.LinuxMemory{Limit: number(-1)})},
		{name: "resources/memory swappiness", script: cat("memory/memory.swappiness"), change: memory(specs.LinuxMemory{Swappiness: unsigned(10)})},
		// Only tail may be chosen to be killed: the kernel takes another one when the first does not end at once.
		{name: "resources/out of memory", script: "head -c 60m /dev/zero | sh -c 'echo 1000 > /proc/self/oom_score_adj; exec tail' | wc -c; echo after",
			change: func(s *specs.Spec) {
				s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: number(16 << 20)}
				never := -1000
				s.Process.OOMScoreAdj = &never
			}},
		{name: "resources/pids", script: cat("pids/pids.max"), change: func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: number(20)} }},
		{name: "resources/pids unlimited", script: cat("pids/pids.max"), change: func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: number(-1)} }},
		{name: "resources/pids of one", script: "true & echo forked", change: func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: number(1)} }},
		{name: "resources/cpu shares", script: cat("cpu/cpu.shares"), change: cpu(specs.LinuxCPU{Shares: unsigned(512)})},
		{name: "resources/cpu quota", script: cat("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"), change: cpu(specs.LinuxCPU{Quota: number(20000), Period: unsigned(50000)})},
		{name: "resources/cpuset", script: cat("cpuset/cpuset.cpus", "cpuset/cpuset.mems"), change: cpu(specs.LinuxCPU{Cpus: "0", Mems: "0"})},
		{name: "resources/cpuset nonsense", change: cpu(specs.LinuxCPU{Cpus: "999"}), error: "cpuset.cpus"},
		{name: "resources/unified on version 1", change: func(s *specs.Spec) {
			s.Linux.Resources.Unified = map[string]string{"memory.min": "131072"}
		}, error: "invalid configuration"},
		{name: "resources/none", script: cat("memory/memory.limit_in_bytes", "pids/pids.max"), change: func(s *specs.Spec) { s.Linux.Resources = nil }},
		{name: "resources/relative path", script: "grep pids: /proc/self/cgroup | cut -d: -f3", change: func(s *specs.Spec) {
			s.Linux.CgroupsPath = group + "/rel"
		}},
		{name: "resources/device write limit", script: cat("blkio/blkio.throttle.write_bps_device"), change: func(s *specs.Spec) {
			d := specs.LinuxThrottleDevice{Rate: 1 << 20}
			d.Major, d.Minor = 254, 0
			s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{ThrottleWriteBpsDevice: []specs.LinuxThrottleDevice{d}}
		}},
	}
}

func otherVariations() []variation {
	score := func(n int) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.OOMScoreAdj = &n } }
	sysctl := func(k, v string) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{k: v} }
	}
	return []variation{
		{name: "hostname", script: "hostname", change: func(s *specs.Spec) { s.Hostname = "box" }},
		{name: "hostname/empty", script: "hostname", change: func(s *specs.Spec) { s.Hostname = "" }},
		{name: "hostname/without uts", change: func(s *specs.Spec) {
			s.Linux.Namespaces = []specs.LinuxNamespace{{Type: "mount"}, {Type: "pid"}}
		}, error: "unable to set hostname without a private UTS namespace"},
		{name: "hostname/too long", change: func(s *specs.Spec) { s.Hostname = fmt.Sprintf("%065d", 1) }, error: "sethostname"},
		{name: "oom score/500", script: "cat /proc/self/oom_score_adj", change: score(500)},
		{name: "oom score/-500", script: "cat /proc/self/oom_score_adj", change: score(-500)},
		{name: "oom score/too large", change: score(5000), error: "oom_score_adj"},
		{name: "sysctl/net", script: "cat /proc/sys/net/ipv4/ip_forward", change: sysctl("net.ipv4.ip_forward", "1")},
		{name: "sysctl/ipc", script: "cat /proc/sys/kernel/shm_rmid_forced", change: sysctl("kernel.shm_rmid_forced", "1")},
		{name: "sysctl/mqueue", script: "cat /proc/sys/fs/mqueue/msg_max", change: sysctl("fs.mqueue.msg_max", "22")},
		{name: "sysctl/slashes", script: "cat /proc/sys/net/ipv4/ip_forward", change: sysctl("net/ipv4/ip_forward", "1")},
		{name: "sysctl/of the host", change: sysctl("kernel.panic", "1"), error: "is not in a separate kernel namespace"},
		{name: "sysctl/hostname", change: sysctl("kernel.hostname", "x"), error: "is not allowed as it conflicts with the OCI"},
		{name: "sysctl/missing", change: sysctl("net.ipv4.nonsense", "1"), error: "no such file or directory"},
		{name: "root/missing", change: func(s *specs.Spec) { s.Root.Path = "/no/such/root" }, error: "invalid rootfs"},
		{name: "root/none", change: func(s *specs.Spec) { s.Root = nil }, error: "oot must be specified"},
		{name: "linux/none", change: func(s *specs.Spec) { s.Linux = nil }, script: "echo x"},
		{name: "annotations", script: "echo x", change: func(s *specs.Spec) { s.Annotations = map[string]string{"a": "b"} }},
	}
}

func hookVariations(dir string) []variation {
	log := dir + "/hooks.log"
	hook := func(script string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin", "X=y"}}}
	}
	note := func(word string) []specs.Hook { return hook("echo " + word + " >> " + log) }
	bad := hook("echo broken; exit 3")
	second := 1
	slow := []specs.Hook{{Path: "/bin/sleep", Args: []string{"sleep", "9"}, Timeout: &second}}
	set := func(h specs.Hooks) func(*specs.Spec) { return func(s *specs.Spec) { s.Hooks = &h } }
	seen := func(h specs.Hooks) func(*specs.Spec) {
		return func(s *specs.Spec) {
			os.Remove(log)
			os.WriteFile(log, nil, 0o666)
			addMount(specs.Mount{Destination: "/log", Type: "bind", Source: log, Options: []string{"bind"}})(s)
			s.Hooks = &h
		}
	}
	show := "sort -u /log"
	inGroup := func(script string) []specs.Hook {
		return hook("cd /sys/fs/cgroup/pids/" + group + "/limited; " + script)
	}
	limited := func(h specs.Hooks) func(*specs.Spec) {
		return func(s *specs.Spec) {
			twenty := int64(20)
			s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &twenty}
			s.Linux.CgroupsPath = "/" + group + "/limited"
			seen(h)(s)
		}
	}
	where := hook("cd /proc/self/ns; readlink mnt net ipc uts cgroup pid >> " + log)
	return []variation{
		// The runtime's namespaces, not the container's: that is where a hook can set up its network.
		//lint:ignore SA1019 old bundles and their engines still use prestart
		{name: "hooks/prestart is outside", script: show, change: seen(specs.Hooks{Prestart: where})},
		{name: "hooks/createRuntime is outside", script: show, change: seen(specs.Hooks{CreateRuntime: where})},
		{name: "hooks/poststart is outside", script: "while [ ! -s /log ]; do sleep 0.05; done; sort -u /log", change: seen(specs.Hooks{Poststart: where})},
		// The limits are there when the first hook runs, and what it makes of them stays.
		//lint:ignore SA1019 old bundles and their engines still use prestart
		{name: "hooks/prestart sees limits", script: show, change: limited(specs.Hooks{Prestart: inGroup("cat pids.max >> " + log)})},
		{name: "hooks/createRuntime sees limits", script: show, change: limited(specs.Hooks{CreateRuntime: inGroup("cat pids.max >> " + log)})},
		{name: "hooks/createContainer sees limits", script: show, change: limited(specs.Hooks{CreateContainer: inGroup("cat pids.max >> " + log)})},
		{name: "hooks/createRuntime changes limits", script: "cat /sys/fs/cgroup/pids/pids.max", change: limited(specs.Hooks{CreateRuntime: inGroup("echo 55 > pids.max")})},
		//lint:ignore SA1019 old bundles and their engines still use prestart
		{name: "hooks/prestart", script: show, change: seen(specs.Hooks{Prestart: note("prestart")})},
		{name: "hooks/createRuntime", script: show, change: seen(specs.Hooks{CreateRuntime: note("createRuntime")})},
		{name: "hooks/createContainer", script: show, change: seen(specs.Hooks{CreateContainer: note("createContainer")})},
		{name: "hooks/startContainer inside", script: show, change: seen(specs.Hooks{StartContainer: hook("echo inside >> /log")})},
		{name: "hooks/poststop", script: "echo x", change: set(specs.Hooks{Poststop: note("poststop")})},
		{name: "hooks/environment", script: show, change: seen(specs.Hooks{CreateRuntime: hook("env | grep -v ^_ | sort >> " + log)})},
		{name: "hooks/state", script: show, change: seen(specs.Hooks{CreateRuntime: hook("grep -o '\"status\":\"[a-z]*\"\\|\"id\":\"[a-z-]*\"' >> " + log)})},
		//lint:ignore SA1019 old bundles and their engines still use prestart
		{name: "hooks/prestart fails", change: set(specs.Hooks{Prestart: bad}), error: "exit status 3"},
		{name: "hooks/createRuntime fails", change: set(specs.Hooks{CreateRuntime: bad}), error: "exit status 3"},
		{name: "hooks/createContainer fails", change: set(specs.Hooks{CreateContainer: bad}), error: "exit status 3"},
		{name: "hooks/startContainer fails", script: "echo x", change: set(specs.Hooks{StartContainer: bad})},
		{name: "hooks/poststart fails", script: "sleep 5", change: set(specs.Hooks{Poststart: bad}), error: "exit status 3"},
		{name: "hooks/poststop fails", script: "echo x", change: set(specs.Hooks{Poststop: bad})},
		{name: "hooks/second fails", change: set(specs.Hooks{CreateRuntime: append(hook("true"), bad...)}), error: "hook #1"},
		{name: "hooks/missing", change: set(specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/no/such/hook"}}}), error: "no such file or directory"},
		{name: "hooks/relative", change: set(specs.Hooks{CreateRuntime: []specs.Hook{{Path: "hook"}}}), error: "hook"},
		{name: "hooks/too slow", change: set(specs.Hooks{CreateRuntime: slow}), error: "hook ran past specified timeout"},
	}
}

func seccompVariations() []variation {
	errno := func(n uint) *uint { return &n }
	filter := func(f specs.LinuxSeccomp) func(*specs.Spec) {
		return func(s *specs.Spec) {
			f.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
			s.Linux.Seccomp = &f
		}
	}
	deny := func(action specs.LinuxSeccompAction, n *uint, names []string, args ...specs.LinuxSeccompArg) func(*specs.Spec) {
		return filter(specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: names, Action: action, ErrnoRet: n, Args: args}}})
	}
	mkdir := []string{"mkdir", "mkdirat"}
	try := "mkdir /tmp/d 2>&1; echo $?; rmdir /tmp/d 2>/dev/null; grep ^Seccomp: /proc/self/status"
	all := []variation{
		{name: "seccomp/errno default", script: try, change: deny(specs.ActErrno, nil, mkdir)},
		{name: "seccomp/errno 13", script: try, change: deny(specs.ActErrno, errno(13), mkdir)},
		{name: "seccomp/errno ENOSYS", script: try, change: deny(specs.ActErrno, errno(38), mkdir)},
		{name: "seccomp/kill", script: "mkdir /tmp/d; echo $?", change: deny(specs.ActKill, nil, mkdir)},
		{name: "seccomp/kill process", script: "mkdir /tmp/d; echo $?", change: deny(specs.ActKillProcess, nil, mkdir)},
		{name: "seccomp/kill thread", script: "mkdir /tmp/d; echo $?", change: deny(specs.ActKillThread, nil, mkdir)},
		{name: "seccomp/trap", script: "mkdir /tmp/d; echo $?", change: deny(specs.ActTrap, nil, mkdir)},
		{name: "seccomp/log", script: try, change: deny(specs.ActLog, nil, mkdir)},
		{name: "seccomp/allow", script: try, change: deny(specs.ActAllow, nil, mkdir)},
		{name: "seccomp/unknown call", script: try, change: deny(specs.ActErrno, nil, []string{"no_such_call", "mkdir"})},
		{name: "seccomp/privileged load", script: try, change: func(s *specs.Spec) {
			deny(specs.ActErrno, errno(13), mkdir)(s)
			s.Process.NoNewPrivileges = false
		}},
		{name: "seccomp/as user", script: try, change: func(s *specs.Spec) {
			deny(specs.ActErrno, errno(13), mkdir)(s)
			s.Process.User.UID = 1000
		}},
		{name: "seccomp/bad action", change: deny("SCMP_ACT_NONSENSE", nil, mkdir), error: "string SCMP_ACT_NONSENSE is not a valid action for seccomp"},
		{name: "seccomp/bad operator", change: deny(specs.ActErrno, nil, mkdir, specs.LinuxSeccompArg{Op: "SCMP_CMP_NONSENSE"}), error: "is not a valid operator for seccomp"},
		{name: "seccomp/default notify", change: filter(specs.LinuxSeccomp{DefaultAction: specs.ActNotify, ListenerPath: "/x"}), error: "SCMP_ACT_NOTIFY cannot be used as default action"},
		{name: "seccomp/notify of write", change: filter(specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/nobody",
			Syscalls: []specs.LinuxSyscall{{Names: []string{"write"}, Action: specs.ActNotify}}}), error: "SCMP_ACT_NOTIFY cannot be used for the write syscall"},
		{name: "seccomp/notify without a listener", change: deny(specs.ActNotify, nil, mkdir), error: "listenerPath is not set"},
		{name: "seccomp/notify nobody", change: filter(specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/nobody",
			Syscalls: []specs.LinuxSyscall{{Names: mkdir, Action: specs.ActNotify}}}), error: "/nobody"},
		{name: "seccomp/flags", script: try, change: filter(specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog},
			Syscalls: []specs.LinuxSyscall{{Names: mkdir, Action: specs.ActErrno}}}), differ: "runc 1.1 knows no flags"},
	}
	// fchmod takes its mode as argument 1: the shell's chmod shows which pass.
	for op, value := range map[specs.LinuxSeccompOperator]uint64{specs.OpEqualTo: 0o644, specs.OpNotEqual: 0o644, specs.OpLessThan: 0o644,
		specs.OpLessEqual: 0o644, specs.OpGreaterThan: 0o644, specs.OpGreaterEqual: 0o644} {
		all = append(all, variation{name: "seccomp/argument " + string(op), script: "touch /tmp/f; for m in 600 644 755; do chmod $m /tmp/f 2>/dev/null; echo $?; done; rm /tmp/f",
			change: deny(specs.ActErrno, nil, []string{"chmod"}, specs.LinuxSeccompArg{Index: 1, Value: value, Op: op})})
	}
	return append(all, variation{name: "seccomp/argument masked", script: "touch /tmp/f; for m in 600 644 755; do chmod $m /tmp/f 2>/dev/null; echo $?; done; rm /tmp/f",
		change: deny(specs.ActErrno, nil, []string{"chmod"}, specs.LinuxSeccompArg{Index: 1, Value: 0o111, ValueTwo: 0o111, Op: specs.OpMaskedEqual})})
}
