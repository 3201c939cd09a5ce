package probe

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// kinds are the namespaces that a thread can leave for a new one.
var kinds = sync.OnceValue(func() map[string]uintptr {
	return map[string]uintptr{
		"mnt": unix.CLONE_NEWNS, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC,
		"net": unix.CLONE_NEWNET, "cgroup": unix.CLONE_NEWCGROUP, "pid": unix.CLONE_NEWPID,
		"user": unix.CLONE_NEWUSER,
	}
})

// cloneNames spells clone flags out, "0" for none.
func cloneNames(flags uintptr) string {
	var names []string
	for _, n := range []struct {
		name string
		flag uintptr
	}{
		{"CLONE_NEWUSER", unix.CLONE_NEWUSER}, {"CLONE_NEWNS", unix.CLONE_NEWNS},
		{"CLONE_NEWPID", unix.CLONE_NEWPID}, {"CLONE_NEWNET", unix.CLONE_NEWNET},
	} {
		if flags&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	if len(names) == 0 {
		return "0"
	}
	return strings.Join(names, "|")
}

// unshareKind makes a namespace and looks whether its inode number is another.
func unshareKind(_ *stage, kind string) Finding {
	return onThread(func() Finding {
		link := "/proc/thread-self/ns/" + kind
		before, _ := os.Readlink(link)
		err := unix.Unshare(int(kinds()[kind]))
		f := asked("unshare(CLONE_NEW"+strings.ToUpper(strings.Replace(kind, "mnt", "ns", 1))+")", err, absentEINVAL)
		if err != nil {
			return f
		}
		after, _ := os.Readlink(link)
		if before == after {
			f.State, f.Reason = No, "the call succeeded and the namespace is still the same"
		}
		return f.with(before + " -> " + after)
	})
}

// newPidns starts a process in a new pid namespace: only children enter one.
func newPidns(*stage, string) Finding {
	return performPart("pid", &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}, absentEINVAL)
}

// newUserns makes a user namespace, writes its maps and uses it. A Go process
// cannot unshare(CLONE_NEWUSER): it has threads, and the kernel answers
// EINVAL, the same as if user namespaces were not built. So a child does it.
func newUserns(s *stage, _ string) Finding {
	who := caller{uid: os.Geteuid(), gid: os.Getegid()}
	attr := owner.attr(who)
	attr.Cloneflags |= unix.CLONE_NEWNS
	f := performPart("user", attr, absentEINVAL)
	if f.State == Yes {
		return f
	}
	return explainUserns(f, readUsernsPolicy(""))
}

// newTimens unshares a time namespace and moves its clock: offsets can be
// written only by the main thread and before the first child, which is why
// this probe has a place of its own.
func newTimens(*stage, string) Finding {
	f := asked("unshare(CLONE_NEWTIME)", unix.Unshare(unix.CLONE_NEWTIME), absentEINVAL)
	return f.then(func() Finding {
		const file = "/proc/self/timens_offsets"
		err := os.WriteFile(file, []byte("monotonic 1000 0"), 0)
		return asked(`write "monotonic 1000 0" to `+file, err, driver)
	})
}

// namespaceLimit shows what a used-up namespace count looks like.
func namespaceLimit(*stage, string) Finding {
	attr := owner.attr(caller{uid: os.Geteuid(), gid: os.Getegid()})
	f := explainUserns(performPart("limit", attr, absentEINVAL), readUsernsPolicy(""))
	for _, kind := range []string{"user", "mnt", "pid", "net"} {
		file := "/proc/sys/user/max_" + kind + "_namespaces"
		f = f.saw("file", file, nil, text(file))
	}
	return f
}

// subordinateIDs checks what a rootless container needs to have more than one
// uid: a range in /etc/subuid and subgid, and the two privileged helpers.
func subordinateIDs(s *stage, _ string) Finding {
	f := Finding{State: Yes}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		n := strings.Count(text(file), ":") / 2
		f = f.saw("file", file, nil, fmt.Sprintf("%d ranges", n))
		if n == 0 {
			f.State, f.Reason = No, "nobody has a range of subordinate ids"
		}
	}
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			f.State, f.Reason = No, "newuidmap and newgidmap are not installed"
			continue
		}
		how := "neither setuid nor with file capabilities"
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSetuid != 0 {
			how = "setuid"
		} else if n, _ := unix.Getxattr(path, "security.capability", nil); n > 0 {
			how = "file capabilities"
		} else {
			f.State, f.Reason = Off, "newuidmap and newgidmap are not privileged"
		}
		f = f.saw("file", path, nil, how)
	}
	return f
}
