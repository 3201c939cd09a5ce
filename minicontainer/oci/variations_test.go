package oci

import (
	"fmt"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// variations lists them all, one function per part of the spec.
func variations(dir string) []variation {
	return slices.Concat(processVariations(), userVariations(), capabilityVariations(), limitVariations(),
		mountVariations(dir), propagationVariations(dir), deviceVariations(), pathVariations(), namespaceVariations(),
		resourceVariations(), seccompVariations(), hookVariations(dir), otherVariations())
}

func processVariations() []variation {
	args := func(a ...string) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.Args = a } }
	cwd := func(d string) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.Cwd = d } }
	env := func(e ...string) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.Env = e } }
	return []variation{
		{name: "process/true", script: "true"},
		{name: "process/exit 7", script: "exit 7"},
		{name: "process/exit 255", script: "exit 255"},
		{name: "process/killed by TERM", script: "kill -9 $$; sleep 1"},
		{name: "process/child killed", script: "sh -c 'kill -9 $$'; echo $?"},
		{name: "process/stdout and stderr", script: "echo out; echo err >&2"},
		{name: "process/pid", script: "echo $$; cat /proc/1/comm"},
		{name: "process/session", script: "cut -d' ' -f5,6 /proc/self/stat"},
		{name: "process/found in PATH", change: args("echo", "hello")},
		{name: "process/relative to cwd", change: func(s *specs.Spec) { s.Process.Args = []string{"./bin/echo", "hi"} }},
		{name: "process/script", change: args("/bin/script", "x")},
		{name: "process/not in PATH", change: args("nonexistent"), error: `exec: "nonexistent": executable file not found in $PATH`},
		{name: "process/missing file", change: args("/bin/nonexistent"), error: `exec: "/bin/nonexistent": stat /bin/nonexistent: no such file or directory`},
		{name: "process/not executable", change: args("/bin/notexec"), error: `exec: "/bin/notexec": permission denied`},
		{name: "process/a folder", change: args("/etc"), error: `exec: "/etc": `},
		{name: "process/no args", change: func(s *specs.Spec) { s.Process.Args = nil }, error: "args must not be empty"},
		{name: "process/no process", change: func(s *specs.Spec) { s.Process = nil }, error: "process property must not be empty"},
		{name: "process/cwd", script: "pwd", change: cwd("/data/sub")},
		{name: "process/cwd is made", script: "pwd; ls -ld /made/here | cut -c1-10; rmdir /made/here /made", change: cwd("/made/here")},
		{name: "process/cwd through a link", script: "pwd -P", change: cwd("/link")},
		{name: "process/cwd upwards", script: "pwd", change: cwd("/../../data")},
		{name: "process/cwd relative", change: cwd("data"), error: "wd must be an absolute path"},
		{name: "process/cwd empty", change: cwd(""), error: "wd property must not be empty"},
		{name: "process/cwd is a file", change: cwd("/etc/file"), error: "etc/file"},
		{name: "process/env", script: "env | grep -v ^SHLVL | sort", change: env("A=1", "B=two words", "PATH=/bin")},
		{name: "process/no env", script: "/bin/env | /bin/grep -v ^SHLVL | /bin/sort", change: env()},
		{name: "process/HOME given", script: "echo $HOME", change: env("HOME=/x", "PATH=/bin")},
		{name: "process/HOME of root", script: "echo $HOME"},
		{name: "process/no new privileges", script: "grep NoNewPrivs /proc/self/status"},
		{name: "process/new privileges", script: "grep NoNewPrivs /proc/self/status", change: func(s *specs.Spec) { s.Process.NoNewPrivileges = false }},
		{name: "process/descriptors", script: "ls /proc/self/fd | wc -l"},
		{name: "process/apparmor", change: func(s *specs.Spec) { s.Process.ApparmorProfile = "x" }, error: "apparmor"},
		{name: "process/selinux", change: func(s *specs.Spec) { s.Process.SelinuxLabel = "a:b:c" },
			error: "selinux label is specified in config, but selinux is disabled or not supported"},
	}
}

func userVariations() []variation {
	user := func(u specs.User) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.User = u } }
	mask := func(m uint32) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.User.Umask = &m } }
	ids := "grep -E '^(Uid|Gid|Groups)' /proc/self/status; echo $HOME"
	return []variation{
		{name: "user/root", script: ids},
		{name: "user/1000", script: ids, change: user(specs.User{UID: 1000, GID: 1000})},
		{name: "user/unknown", script: ids, change: user(specs.User{UID: 4321, GID: 1234})},
		{name: "user/group only", script: ids, change: user(specs.User{GID: 5})},
		{name: "user/more groups", script: ids, change: user(specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{10, 20, 30}})},
		{name: "user/largest", script: ids, change: user(specs.User{UID: 4294967294, GID: 4294967294}),
			differ: "runc 1.1 takes ids up to 2147483647, the kernel up to 4294967294"},
		{name: "user/no setuid gain", script: "/suid/busybox id -u", change: user(specs.User{UID: 1000, GID: 1000})},
		{name: "user/setuid gain", script: "/suid/busybox id -u", change: func(s *specs.Spec) {
			s.Process.User = specs.User{UID: 1000, GID: 1000}
			s.Process.NoNewPrivileges = false
		}},
		{name: "user/capabilities after setuid", script: "grep ^Cap /proc/self/status", change: user(specs.User{UID: 1000, GID: 1000})},
		{name: "user/may write stdout", script: "echo x > /dev/stdout", change: user(specs.User{UID: 1000, GID: 1000})},
		{name: "user/cwd not allowed", script: "pwd", change: func(s *specs.Spec) {
			s.Process.User, s.Process.Cwd = specs.User{UID: 1000, GID: 1000}, "/private"
		}},
		{name: "user/umask 0", script: "umask", change: mask(0)},
		{name: "user/umask 077", script: "umask; touch /tmp/m; ls -l /tmp/m | cut -c1-10; rm /tmp/m", change: mask(0o77)},
		{name: "user/umask default", script: "umask"},
	}
}

func capabilityVariations() []variation {
	script := "grep ^Cap /proc/self/status"
	sets := func(c *specs.LinuxCapabilities, user uint32) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Process.Capabilities, s.Process.User.UID = c, user }
	}
	every := func(names ...string) *specs.LinuxCapabilities {
		return &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names, Inheritable: names, Ambient: names}
	}
	all := []variation{
		{name: "caps/object missing", script: script, change: sets(nil, 0)},
		{name: "caps/all sets empty", script: script, change: sets(&specs.LinuxCapabilities{}, 0)},
		{name: "caps/bounding only", script: script, change: sets(&specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN"}}, 0)},
		{name: "caps/no ambient as user", script: script, change: sets(&specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"},
			Permitted: []string{"CAP_KILL"}, Effective: []string{"CAP_KILL"}}, 1000)},
		{name: "caps/ambient without inheritable", script: script, change: sets(&specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"},
			Permitted: []string{"CAP_KILL"}, Effective: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL"}}, 1000)},
		{name: "caps/unknown name", script: script, change: sets(every("CAP_NONSENSE", "CAP_KILL"), 0)},
		{name: "caps/chown allowed", script: "touch /tmp/c; chown 5 /tmp/c && stat -c %u /tmp/c; rm -f /tmp/c", change: sets(every("CAP_CHOWN"), 0)},
		{name: "caps/chown refused", script: "touch /tmp/c; chown 5 /tmp/c 2>&1; rm -f /tmp/c"},
		{name: "caps/mount refused", script: "mount -t tmpfs x /tmp 2>&1"},
		{name: "caps/mount allowed", script: "mount -t tmpfs x /tmp && grep -c ' /tmp ' /proc/mounts", change: sets(every("CAP_SYS_ADMIN"), 0)},
	}
	for _, c := range []string{"CAP_CHOWN", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_CHECKPOINT_RESTORE", "CAP_SYS_PTRACE"} {
		all = append(all, variation{name: "caps/root " + c, script: script, change: sets(every(c), 0)},
			variation{name: "caps/user " + c, script: script, change: sets(every(c), 1000)})
	}
	return all
}

func limitVariations() []variation {
	var all []variation
	for _, l := range []string{"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS",
		"SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"} {
		soft, hard := uint64(1<<30), uint64(1<<31)
		if l == "NOFILE" || l == "NPROC" || l == "NICE" || l == "RTPRIO" {
			soft, hard = 512, 1024
		}
		all = append(all, variation{name: "rlimit/" + l, script: "cat /proc/self/limits", change: func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_" + l, Soft: soft, Hard: hard}}
		}})
	}
	bad := func(r ...specs.POSIXRlimit) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.Rlimits = r } }
	return append(all,
		variation{name: "rlimit/unlimited", script: "ulimit -c", change: bad(specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: ^uint64(0), Hard: ^uint64(0)})},
		variation{name: "rlimit/zero", script: "ulimit -c; ulimit -Hc", change: bad(specs.POSIXRlimit{Type: "RLIMIT_CORE"})},
		variation{name: "rlimit/soft above hard", change: bad(specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}), error: "error setting rlimit"},
		variation{name: "rlimit/unknown", change: bad(specs.POSIXRlimit{Type: "RLIMIT_NONSENSE"}), error: "wrong rlimit value: RLIMIT_NONSENSE"},
		variation{name: "rlimit/file size stops", script: "ulimit -f; dd if=/dev/zero of=/tmp/f bs=1k count=9 2>/dev/null; ls -l /tmp/f | awk '{print $5}'; rm /tmp/f",
			change: bad(specs.POSIXRlimit{Type: "RLIMIT_FSIZE", Soft: 4096, Hard: 4096})},
	)
}

// addMount adds one to the spec.
func addMount(m specs.Mount) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) }
}

// mountLine shows a mount as the kernel has it, without the numbers of this run.
func mountLine(place string) string {
	return fmt.Sprintf("awk '$5 == \"%s\"' /proc/self/mountinfo | cut -d' ' -f4- | sort", place)
}

func mountVariations(dir string) []variation {
	os.MkdirAll(dir+"/source/deep", 0o755)
	os.WriteFile(dir+"/source/file", []byte("from the host\n"), 0o644)
	var all []variation
	options := []string{"", "ro", "rw", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "strictatime", "ro,nosuid,nodev,noexec", "exec", "suid"}
	for _, o := range options {
		list := strings.FieldsFunc(o, func(r rune) bool { return r == ',' })
		all = append(all, variation{name: "mount/tmpfs " + o, script: mountLine("/data"),
			change: addMount(specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: list})})
		all = append(all, variation{name: "mount/bind " + o, script: mountLine("/data") + "; cat /data/file",
			change: addMount(specs.Mount{Destination: "/data", Type: "bind", Source: dir + "/source", Options: append([]string{"rbind"}, list...)})})
	}
	tmpfs := func(o ...string) func(*specs.Spec) {
		return addMount(specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: o})
	}
	bind := func(source, dest string, o ...string) func(*specs.Spec) {
		return addMount(specs.Mount{Destination: dest, Type: "bind", Source: source, Options: o})
	}
	return append(all, []variation{
		{name: "mount/tmpfs size", script: mountLine("/data"), change: tmpfs("size=64k", "mode=700")},
		{name: "mount/tmpfs full", script: "dd if=/dev/zero of=/data/f bs=1k count=100 2>&1 | tail -1 | cut -c1-20; ls -l /data/f | awk '{print $5}'", change: tmpfs("size=64k")},
		{name: "mount/tmpfs mode", script: "ls -ld /data | cut -c1-10", change: tmpfs("mode=1777"),
			differ: "runc 1.1 puts the mode of the covered folder over the one that was asked for"},
		{name: "mount/tmpfs keeps the mode", script: "ls -ld /private | cut -c1-10", change: addMount(specs.Mount{Destination: "/private", Type: "tmpfs", Source: "tmpfs"})},
		{name: "mount/tmpfs copy-up", script: "cat /data/sub/file; ls -l /data/sub | tail -1 | cut -c1-10; " + mountLine("/data"), change: tmpfs("tmpcopyup")},
		{name: "mount/tmpfs unknown option", change: tmpfs("nonsense=1"), error: `error mounting "tmpfs" to rootfs at "/data"`},
		{name: "mount/tmpfs bad size", change: tmpfs("size=many"), error: `error mounting "tmpfs" to rootfs at "/data"`},
		{name: "mount/unknown type", change: addMount(specs.Mount{Destination: "/data", Type: "nonsensefs", Source: "x"}), error: `error mounting "x" to rootfs at "/data"`},
		{name: "mount/new folder", script: "cat /new/place/file; ls -ld /new/place | cut -c1-10", change: bind(dir+"/source", "/new/place", "rbind")},
		{name: "mount/new file", script: "cat /new/file", change: bind(dir+"/source/file", "/new/file", "bind")},
		{name: "mount/file over file", script: "cat /etc/file", change: bind(dir+"/source/file", "/etc/file", "bind", "ro")},
		{name: "mount/file read-only", script: "echo x >> /etc/file", change: bind(dir+"/source/file", "/etc/file", "bind", "ro")},
		{name: "mount/through a link", script: "cat /etc/new/file; rmdir /etc/new 2>/dev/null", change: bind(dir+"/source", "/link/new", "rbind")},
		{name: "mount/link upwards", script: "cat /etc/new2/file", change: bind(dir+"/source", "/up/new2", "rbind")},
		{name: "mount/dangling link", script: "ls -l /var/run/x/file | cut -c1-10; ls -d /run/new", change: bind(dir+"/source", "/var/run/x", "rbind")},
		{name: "mount/destination upwards", script: "cat /data/file", change: bind(dir+"/source", "/../../data", "rbind")},
		{name: "mount/destination relative", script: "cat /data/file", change: bind(dir+"/source", "data", "rbind")},
		{name: "mount/source missing", change: bind(dir+"/nothing", "/data", "rbind"), error: "no such file or directory"},
		{name: "mount/source relative", script: "ls /data", change: bind("../source", "/data", "rbind")},
		{name: "mount/type none and bind", script: "cat /data/file", change: addMount(specs.Mount{Destination: "/data", Type: "none", Source: dir + "/source", Options: []string{"bind"}})},
		{name: "mount/one over another", script: "ls /data; " + mountLine("/data"), change: func(s *specs.Spec) {
			tmpfs()(s)
			bind(dir+"/source", "/data", "rbind")(s)
		}},
		{name: "mount/inside another", script: "cat /data/in/file", change: func(s *specs.Spec) {
			tmpfs()(s)
			bind(dir+"/source", "/data/in", "rbind")(s)
		}},
		{name: "mount/inside proc", change: bind(dir+"/source", "/proc/fs", "rbind"), error: "inside /proc"},
		{name: "mount/over proc", change: addMount(specs.Mount{Destination: "/proc", Type: "tmpfs", Source: "tmpfs"})},
		{name: "mount/lxcfs file in proc", script: "cat /proc/uptime", change: bind(dir+"/source/file", "/proc/uptime", "bind")},
		{name: "mount/procfs elsewhere", script: "ls /data | grep -c '^1$'; " + mountLine("/data"), change: addMount(specs.Mount{Destination: "/data", Type: "proc", Source: "proc", Options: []string{"nosuid"}})},
		{name: "mount/no mounts at all", change: func(s *specs.Spec) { s.Mounts, s.Process.Args = nil, []string{"/bin/echo", "x"} },
			differ: "runc 1.1 needs /proc in the container to close descriptors; cutaway uses close_range(2)"},
		{name: "mount/root read-only", script: "touch /x 2>&1; " + mountLine("/"), change: func(s *specs.Spec) { s.Root.Readonly = true }},
		{name: "mount/root writable", script: "touch /x; ls /x; rm /x", change: func(s *specs.Spec) { s.Root.Readonly = false }},
		{name: "mount/dev read-only", script: "touch /dev/x 2>&1; ls /dev; " + mountLine("/dev"), change: func(s *specs.Spec) { s.Mounts[1].Options = append(s.Mounts[1].Options, "ro") }},
		{name: "mount/sys writable", script: mountLine("/sys"), change: func(s *specs.Spec) { s.Mounts[5].Options = []string{"nosuid"} }},
		{name: "mount/standard ones", script: "cut -d' ' -f4- /proc/self/mountinfo | grep -v ' /dev/\\|/proc/\\|/sys/fs/cgroup' | grep -v '^/[^ ]* / '"},
		{name: "mount/cgroup", script: "ls /sys/fs/cgroup | sort; ls -d /sys/fs/cgroup/memory/memory.limit_in_bytes"},
	}...)
}

func propagationVariations(dir string) []variation {
	var all []variation
	words := []string{"private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"}
	for _, w := range words {
		differ := ""
		if strings.Contains(w, "shared") || strings.Contains(w, "unbindable") {
			differ = "runc 1.1 sets it on the host's old root, which is gone after the pivot; the specification means the container's root"
		}
		all = append(all,
			variation{name: "propagation/bind " + w, script: mountLine("/data") + " | cut -d' ' -f3- | cut -d- -f1",
				change: addMount(specs.Mount{Destination: "/data", Type: "bind", Source: dir + "/source", Options: []string{"rbind", w}})},
			variation{name: "propagation/root " + w, script: mountLine("/") + " | cut -d' ' -f3- | cut -d- -f1",
				change: func(s *specs.Spec) { s.Linux.RootfsPropagation = w }, differ: differ})
	}
	return append(all, variation{name: "propagation/root nonsense", change: func(s *specs.Spec) { s.Linux.RootfsPropagation = "nonsense" }, error: "rootfsPropagation=nonsense"})
}
