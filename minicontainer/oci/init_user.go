package oci

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/script"
)

// becomeUser turns the process into what the spec says that it is. The order is
// forced: each line takes away what the lines before it needed.
func (b *box) becomeUser(s *script.Script) {
	b.who.kernelSide(s)    // scheduler, personality: may need CAP_SYS_NICE
	b.enterProfile(s)      // AppArmor, SELinux
	entered := b.tryDir(s) // cwd, if root may enter it and the user may not; no filter has to know openat2
	if !b.process.NoNewPrivileges {
		b.loadFilter(s) // seccomp, while CAP_SYS_ADMIN is there
	}
	b.who.caps.dropBounding(s) // needs CAP_SETPCAP
	b.changeUser(s)
	b.changeDir(s, entered) // cwd, if the user may enter it and root may not
	b.forbidPrivileges(s)   // no_new_privs
}

// changeUser changes ids and capabilities.
func (b *box) changeUser(s *script.Script) {
	// Across the change of user: one from uid 0 to another clears the permitted
	// set otherwise, and with it what capset is allowed to keep.
	prctl(s, "prctl PR_SET_KEEPCAPS", unix.PR_SET_KEEPCAPS, 1)
	b.setIDs(s)
	prctl(s, "prctl PR_SET_KEEPCAPS", unix.PR_SET_KEEPCAPS, 0)
	b.who.caps.apply(s) // the rest of the five sets
}

// enterProfile sets the labels for the coming exec. They are written through
// the host's procfs: a write that a container could redirect would leave it
// without its profile (CVE-2019-16884).
func (b *box) enterProfile(s *script.Script) {
	if p := b.process.ApparmorProfile; p != "" && !b.joins {
		b.label(s, "apparmor profile", "thread-self/attr/apparmor/exec", "exec "+p)
	}
	if l := b.process.SelinuxLabel; l != "" && !b.joins {
		b.label(s, "selinux label", "thread-self/attr/exec", l)
	}
}

func (b *box) label(s *script.Script, what, path, value string) {
	explain := func(errno unix.Errno) error {
		return fmt.Errorf("unable to apply %s: write %q to /proc/%s: %w", what, value, path, errno)
	}
	how := b.proc.How()
	file := s.Call(what, unix.SYS_OPENAT2, script.Int(b.proc.File().Fd()), s.String(path), s.Bytes(bytesOf(&how)),
		script.Int(unix.SizeofOpenHow)).Explain(explain)
	s.Call(what, unix.SYS_WRITE, file.Result(), s.String(value), script.Int(len(value))).Explain(explain)
}

// setIDs changes groups first: without root nobody may (setgroups(2), setresgid(2), setresuid(2)).
func (b *box) setIDs(s *script.Script) {
	u := b.process.User
	groups := s.Call(fmt.Sprintf("setgroups %v", u.AdditionalGids), unix.SYS_SETGROUPS,
		script.Int(len(u.AdditionalGids)), s.Bytes(wordsOf(u.AdditionalGids)))
	if len(u.AdditionalGids) == 0 {
		groups.Allow(unix.EPERM) // an ordinary user's namespace has setgroups denied: nothing to drop then
	}
	gid, uid := script.Int(u.GID), script.Int(u.UID)
	s.Call(fmt.Sprintf("setresgid %d", u.GID), unix.SYS_SETRESGID, gid, gid, gid)
	s.Call("setresuid", unix.SYS_SETRESUID, uid, uid, uid).Explain(func(errno unix.Errno) error {
		return fmt.Errorf("setresuid %d: %w; is it in uidMappings?", u.UID, errno)
	})
}

// tryDir enters cwd with root's rights. What those are not enough for, a folder
// of a network file system say, the user's may be. Its result is for changeDir.
func (b *box) tryDir(s *script.Script) (entered *script.Call) {
	s.Call("chdir /", unix.SYS_CHDIR, s.String("/"))
	dir := b.openDir(s).Allow(unix.EACCES)
	entered = s.Call("fchdir to cwd", unix.SYS_FCHDIR, dir.Result()).Allow(unix.EBADF, unix.EACCES).Explain(b.dirError)
	closeResult(s, dir)
	return entered
}

// changeDir enters it with the user's rights, unless that is done.
func (b *box) changeDir(s *script.Script, entered *script.Call) {
	dir := b.openDir(s).Unless(entered)
	s.Call("fchdir to cwd", unix.SYS_FCHDIR, dir.Result()).Unless(entered).Explain(b.dirError)
	closeResult(s, dir).Unless(entered)
}

// openDir looks cwd up from "/", where the process is, stays inside of it and
// follows no magic link (openat2(2)): the name /proc/self/fd/N of a leaked
// descriptor would be a folder of the host (CVE-2024-21626).
func (b *box) openDir(s *script.Script) *script.Call {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	return s.Call("open cwd", unix.SYS_OPENAT2, script.Int(unix.AT_FDCWD), s.String(b.process.Cwd), s.Bytes(bytesOf(&how)),
		script.Int(unix.SizeofOpenHow)).Explain(b.dirError)
}

// closeResult closes what a call has opened, if it has.
func closeResult(s *script.Script, opened *script.Call) *script.Call {
	return s.Call("close", unix.SYS_CLOSE, opened.Result()).Allow(unix.EBADF)
}

func (b *box) dirError(errno unix.Errno) error {
	if errno == unix.ELOOP {
		return fmt.Errorf("current working directory is outside of container mount namespace root: cwd (%q)", b.process.Cwd)
	}
	return fmt.Errorf("chdir to cwd (%q) set in config.json failed: %w", b.process.Cwd, errno)
}

// filterEarly loads a filter whose listener the runtime has to take, before it
// leaves, and one that start hooks have to obey as well. Any other is loaded right
// before the exec: it then need not allow what only this stage does.
func (b *box) filterEarly(s *script.Script) {
	if b.process.NoNewPrivileges && b.isFilterEarly() {
		b.loadFilter(s)
	}
}

func (b *box) isFilterEarly() bool { return b.filter.Notifies() || b.hasStartHooks() }

// loadFilter loads it, and hands over its listener. From there on each call
// that it notifies of waits for the agent.
func (b *box) loadFilter(s *script.Script) {
	if b.filter == nil {
		return
	}
	listener := b.filter.Load(s)
	if !b.filter.Notifies() {
		return
	}
	// Until the agent has it, only what no filter may notify of: any other call
	// would wait for an agent that does not know of it.
	b.say(s, reply{Ask: askListener})
	s.Call("write the listener's number", unix.SYS_WRITE, script.Int(b.wire), listener.ResultAddress(), script.Int(wordSize))
	b.hear(s)
	s.Call("close the listener", unix.SYS_CLOSE, listener.Result()) // or calls would wait for an agent that is dead
}

// forbidPrivileges makes setuid bits and file capabilities powerless
// (prctl(2), PR_SET_NO_NEW_PRIVS), and sets the umask beside.
func (b *box) forbidPrivileges(s *script.Script) {
	if m := b.process.User.Umask; m != nil {
		s.Call("umask", unix.SYS_UMASK, script.Int(*m))
	}
	if b.process.NoNewPrivileges {
		prctl(s, "prctl PR_SET_NO_NEW_PRIVS", unix.PR_SET_NO_NEW_PRIVS, 1)
	}
}

// handOverStdio gives standard input, output and error to the user, who could
// not open /dev/stdout otherwise. The host's own devices are left alone.
func (b *box) handOverStdio() error {
	if b.process.User.UID == 0 {
		return nil
	}
	files := b.stdio
	if b.slave != nil {
		files = [3]*os.File{b.slave}
	}
	for _, f := range files {
		var st unix.Stat_t
		if f == nil || unix.Fstat(int(f.Fd()), &st) != nil || st.Rdev == unix.Mkdev(1, 3) || st.Uid == b.process.User.UID {
			continue
		}
		err := unix.Fchown(int(f.Fd()), int(b.process.User.UID), int(st.Gid))
		if err != nil && err != unix.EINVAL && err != unix.EPERM && err != unix.EROFS {
			return fmt.Errorf("fchown %s: %w", f.Name(), err)
		}
	}
	return nil
}
