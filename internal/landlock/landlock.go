// Package landlock lets a process give up access to files, without being root
// and for good.
//
// Most security modules of the kernel (AppArmor, SELinux) follow a policy that
// the machine's administrator has loaded. Landlock is the other way round: a
// program restricts itself and all that it will ever start. Three calls:
//
//	landlock_create_ruleset  these kinds of access shall be refused ...
//	landlock_add_rule        ... except below this folder, and this one
//	landlock_restrict_self   from now on, for this thread and its children
//
// Nothing can be taken back, and rulesets that come later only narrow. The
// thread must have no_new_privs set, or a setuid program could be fooled by
// what it suddenly may not read.
//
// What this is not: all of Landlock. It also knows network ports and signals.
//
// See landlock(7), landlock_create_ruleset(2), Documentation/userspace-api/landlock.rst.
package landlock

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handled are the kinds of access that are refused where no rule allows them.
// All three are in the first version of the interface (Linux 5.13).
const handled = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_WRITE_FILE

// RestrictThread leaves the calling thread, and what it starts, with files below
// the given folders only: to read, and to write what is there. The caller must
// hold its thread (runtime.LockOSThread) and throw it away in the end.
func RestrictThread(folders ...string) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	rules, err := createRuleset()
	if err != nil {
		return err
	}
	defer unix.Close(rules)
	for _, dir := range folders {
		if err := addRule(rules, dir); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return fmt.Errorf("landlock_restrict_self: %w", errno)
	}
	return nil
}

func createRuleset() (int, error) {
	attr := struct{ accessFS uint64 }{handled} // what later versions added is left out by the size
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return -1, fmt.Errorf("landlock_create_ruleset (ENOSYS: Linux before 5.13; EOPNOTSUPP: not in lsm= at boot): %w", errno)
	}
	return int(fd), nil
}

// addRule allows the handled access below a folder.
func addRule(rules int, dir string) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	attr := unix.LandlockPathBeneathAttr{Allowed_access: handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("landlock_add_rule for %s: %w", dir, errno)
	}
	return nil
}
