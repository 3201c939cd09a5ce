package probe

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seccompFlags by Probe.Live's argument.
var seccompFlags = map[string]uintptr{
	"": 0, "TSYNC": unix.SECCOMP_FILTER_FLAG_TSYNC, "LOG": unix.SECCOMP_FILTER_FLAG_LOG,
	"SPEC_ALLOW": unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, "NEW_LISTENER": unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
	// Alone it is EINVAL: it says how a listener waits.
	"WAIT_KILLABLE_RECV": unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}

// seccompFlag asks for a filter at address 0. A kernel that knows the flag
// tries to read it and says EFAULT; one that does not says EINVAL before that.
func seccompFlag(_ *stage, flag string) Finding {
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, seccompFlags[flag], 0)
	return asked(fmt.Sprintf("seccomp(SET_MODE_FILTER, %s, NULL)", max(flag, "0")), errno(e),
		verdict{present: []unix.Errno{unix.EFAULT}, absent: []unix.Errno{unix.EINVAL}})
}

// seccompAction asks for the action that hands a call to another process.
func seccompAction(*stage, string) Finding {
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	f := asked("seccomp(GET_ACTION_AVAIL, USER_NOTIF)", errno(e),
		verdict{absent: []unix.Errno{unix.EOPNOTSUPP, unix.EINVAL}})
	return f.then(func() Finding {
		var sizes [3]uint16
		_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
		return asked("seccomp(GET_NOTIF_SIZES)", errno(e), absentEINVAL).with(fmt.Sprint(sizes))
	})
}

// capabilityBounds counts capabilities by asking for one after the other until
// the kernel knows no more, and tries the ambient set.
func capabilityBounds(_ *stage, arg string) Finding {
	if arg == "ambient" {
		err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, unix.CAP_NET_RAW, 0, 0)
		return asked("prctl(PR_CAP_AMBIENT_IS_SET)", err, absentEINVAL)
	}
	last := -1
	for n := range 64 {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err != nil {
			break
		}
		last = n
	}
	f := Finding{State: Yes}
	if last < 0 {
		f.State = Unknown
	}
	f = f.saw("live", "prctl(PR_CAPBSET_READ, 0...)", nil, fmt.Sprintf("last capability %d", last))
	return f.saw("file", "/proc/sys/kernel/cap_last_cap", nil, text("/proc/sys/kernel/cap_last_cap"))
}

// lsmNames by number, linux/lsm.h.
var lsmNames = map[uint64]string{
	100: "capability", 101: "selinux", 102: "smack", 103: "tomoyo", 104: "apparmor", 105: "yama",
	106: "loadpin", 107: "safesetid", 108: "lockdown", 109: "bpf", 110: "landlock", 111: "ima", 112: "evm", 113: "ipe",
}

// listLSM returns the active security modules. lsm_list_modules(2) is there
// since 6.8; before that the file in securityfs says the same, where that is mounted.
func listLSM() (names []string, how string, err error) {
	ids := make([]uint64, 32)
	size := uint32(len(ids) * 8)
	n, _, e := unix.Syscall(unix.SYS_LSM_LIST_MODULES, uintptr(unsafe.Pointer(&ids[0])), uintptr(unsafe.Pointer(&size)), 0)
	runtime.KeepAlive(ids)
	if e == 0 {
		for _, id := range ids[:n] {
			names = append(names, lsmNames[id])
		}
		return names, "lsm_list_modules()", nil
	}
	if list := text("/sys/kernel/security/lsm"); list != "" {
		return strings.Split(list, ","), "/sys/kernel/security/lsm", nil
	}
	return nil, "lsm_list_modules()", e
}

// activeLSM looks for one module in the list of active ones, for any with "".
// What the config says was built is another question.
func activeLSM(_ *stage, name string) Finding {
	names, how, err := listLSM()
	if err != nil {
		return Finding{State: Unknown, Reason: "older than 6.8, and securityfs is not mounted to read the list from"}.
			saw("live", how, err, "")
	}
	f := Finding{State: Yes}.saw("live", how, nil, strings.Join(names, " "))
	if name != "" && !hasField(strings.Join(names, " "), name) {
		f.State, f.Reason = No, "not in the list of active security modules"
	}
	switch name {
	case "apparmor":
		f = f.saw("file", "/sys/module/apparmor/parameters/enabled", nil, text("/sys/module/apparmor/parameters/enabled"))
		path, _ := exec.LookPath("apparmor_parser")
		f = f.saw("file", "apparmor_parser", nil, max(path, "not found"))
	case "selinux":
		f = f.saw("file", "/sys/fs/selinux/enforce", nil, text("/sys/fs/selinux/enforce"))
	}
	return f
}

// landlockABI asks for the version of the interface.
func landlockABI(*stage, string) Finding {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	f := asked("landlock_create_ruleset(VERSION)", errno(e), verdict{off: []unix.Errno{unix.EOPNOTSUPP}})
	if e == 0 {
		return f.with(fmt.Sprintf("ABI %d", abi))
	}
	return f.because("not in the lsm= list of the kernel command line")
}
