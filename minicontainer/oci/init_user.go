package oci

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// becomeUser turns the process into what the spec says that it is. The order is
// forced: each line takes away what the lines before it needed.
func (b *box) becomeUser() error {
	for _, do := range []func() error{
		b.setKernelSide,         // scheduler, personality: may need CAP_SYS_NICE
		b.enterProfile,          // AppArmor, SELinux
		b.filterEarly,           // seccomp, while CAP_SYS_ADMIN is there
		b.who.caps.dropBounding, // needs CAP_SETPCAP
		b.handOverStdio,         // chown needs CAP_CHOWN
		keepCapabilities,        // across the change of user
		b.tryDir,                // cwd, if root may enter it and the user may not
		b.setIDs,                // the change of user
		b.who.caps.apply,        // the rest of the five sets
		b.changeDir,             // cwd, if the user may enter it and root may not
		b.forbidPrivileges,      // no_new_privs
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (b *box) setKernelSide() error {
	domain, err := planPersonality(b.spec.Linux.Personality)
	if err != nil {
		return err
	}
	if err := setPersonality(domain); err != nil {
		return err
	}
	if err := setIOPriority(b.who.ioprio); err != nil {
		return err
	}
	return setScheduler(b.who.sched)
}

// enterProfile sets the labels for the coming exec. They are written through
// the host's procfs: a write that a container could redirect would leave it
// without its profile (CVE-2019-16884).
func (b *box) enterProfile() error {
	if p := b.process.ApparmorProfile; p != "" && !b.Exec {
		if err := b.proc.Write("thread-self/attr/apparmor/exec", "exec "+p); err != nil {
			return fmt.Errorf("unable to apply apparmor profile: %w", err)
		}
	}
	if l := b.process.SelinuxLabel; l != "" && !b.Exec {
		return b.proc.Write("thread-self/attr/exec", l)
	}
	return nil
}

// keepCapabilities: a change from uid 0 to another clears the permitted set
// otherwise, and with it what capset is allowed to keep.
func keepCapabilities() error {
	if err := prctl(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("prctl PR_SET_KEEPCAPS: %w", err)
	}
	return nil
}

// setIDs changes groups first: without root nobody may (setgroups(2), setresgid(2), setresuid(2)).
func (b *box) setIDs() error {
	u := b.process.User
	groups := u.AdditionalGids
	var first *uint32
	if len(groups) > 0 {
		first = &groups[0]
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(first)), 0)
	// An ordinary user's namespace has setgroups denied: nothing to drop then.
	if errno != 0 && !(errno == unix.EPERM && len(groups) == 0) {
		return fmt.Errorf("setgroups %v: %w", groups, errno)
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return fmt.Errorf("setresgid %d: %w", u.GID, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("setresuid %d: %w; is it in uidMappings?", u.UID, errno)
	}
	return prctl(unix.PR_SET_KEEPCAPS, 0)
}

// tryDir enters cwd with root's rights. What those are not enough for, a folder
// of a network file system say, the user's may be.
func (b *box) tryDir() error {
	err := unix.Chdir(b.process.Cwd)
	b.inDir = err == nil
	if err != nil && !errors.Is(err, unix.EACCES) {
		return b.dirError(err)
	}
	return nil
}

// changeDir enters cwd as the user if that is still to do, and makes sure that
// it is in the container: the name /proc/self/fd/N of a leaked descriptor would
// be a folder of the host (CVE-2024-21626). For a place outside of the root
// getcwd(2) gives "(unreachable)" or ENOENT.
func (b *box) changeDir() error {
	if !b.inDir {
		if err := unix.Chdir(b.process.Cwd); err != nil {
			return b.dirError(err)
		}
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "/") {
		return fmt.Errorf("current working directory is outside of container mount namespace root: cwd (%q)", b.process.Cwd)
	}
	return nil
}

func (b *box) dirError(err error) error {
	return fmt.Errorf("chdir to cwd (%q) set in config.json failed: %w", b.process.Cwd, err)
}

// filterEarly loads the filter where loading it takes CAP_SYS_ADMIN.
func (b *box) filterEarly() error {
	if b.process.NoNewPrivileges {
		return nil
	}
	return b.loadFilter()
}

// filterNotifying loads a filter whose listener the runtime has to take, before
// it leaves. Any other is loaded right before the exec: it then need not allow
// what only this stage does.
func (b *box) filterNotifying() error {
	if b.filter == nil || !b.filter.Notify {
		return nil
	}
	return b.loadFilter()
}

// loadFilter loads it once, and hands over its listener. From here on each call
// that it notifies of waits for the agent.
func (b *box) loadFilter() error {
	if b.filter == nil {
		return nil
	}
	listener, err := b.filter.Load()
	b.filter = nil
	if err != nil || listener < 0 {
		return err
	}
	defer unix.Close(listener) // or calls would wait for an agent that is dead
	return b.ask(reply{Ask: askListener, Listener: listener})
}

// forbidPrivileges makes setuid bits and file capabilities powerless
// (prctl(2), PR_SET_NO_NEW_PRIVS), and sets the umask beside.
func (b *box) forbidPrivileges() error {
	if m := b.process.User.Umask; m != nil {
		unix.Umask(int(*m))
	}
	if !b.process.NoNewPrivileges {
		return nil
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return nil
}

// handOverStdio gives standard input, output and error to the user, who could
// not open /dev/stdout otherwise. The host's own devices are left alone.
func (b *box) handOverStdio() error {
	if b.process.User.UID == 0 {
		return nil
	}
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Rdev == unix.Mkdev(1, 3) || st.Uid == b.process.User.UID {
			continue
		}
		err := unix.Fchown(int(f.Fd()), int(b.process.User.UID), int(st.Gid))
		if err != nil && err != unix.EINVAL && err != unix.EPERM && err != unix.EROFS {
			return fmt.Errorf("fchown %s: %w", f.Name(), err)
		}
	}
	return nil
}
