package nsdemo

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Cause is a likely reason for an error, and the way out.
type Cause struct {
	Why, Try string
	// Confirmed: the reason was looked for on this machine, now, and is there.
	Confirmed bool
	From      string // where it was looked for; empty where nothing can tell
}

// causeFact is a row of the table of reasons. look returns whether it is there;
// nil means that no file tells.
type causeFact struct {
	errno    syscall.Errno
	why, try string
	from     string
	look     func(procRoot string) bool
}

var causeFacts = []causeFact{
	{unix.EPERM, "namespaces other than user take CAP_SYS_ADMIN, which this process does not have",
		"run as root, or make a user namespace along with them", "self/status CapEff", lacksAdmin},
	{unix.EPERM, "the process is in a chroot, where the kernel refuses user namespaces",
		"use pivot_root(2) in place of chroot(2), or run it outside", "self/mountinfo: no mount at /", inChroot},
	{unix.EPERM, "a seccomp filter is in force, which may refuse clone(2), unshare(2) or mount(2) (Docker's default one does)",
		"run it on the host, or with --security-opt seccomp=unconfined", "self/status Seccomp", hasFilter},
	{unix.EPERM, "the capability was asked for in the user namespace that owns the object, and this process has it only in its own",
		"do it from the owning user namespace (see NS_GET_USERNS in ioctl_ns(2))", "self/ns/user is not the initial one", inUserNS},
	{unix.EPERM, "an id map names ids that are not the writer's own, or a gid map was written before setgroups was denied",
		"map your own id alone, in one line; or use newuidmap(1) and newgidmap(1) with /etc/subuid and /etc/subgid", "", nil},
	{unix.EINVAL, "this kernel was built without that kind of namespace",
		"look which are missing in /proc/self/ns; use a kernel with CONFIG_NAMESPACES and all CONFIG_*_NS", "self/ns", lacksKind},
	{unix.EINVAL, "a program with several threads, as every Go program is, asked for a user or time namespace for one of them",
		"make it with a new process (clone flags), as this package does", "", nil},
	{unix.EINVAL, "pivot_root(2): the new root is no mount point, or it or its parent is a shared mount, or the old root is the initramfs",
		"bind-mount the folder on itself and make all mounts private first; on an initramfs use switch_root(8)", "self/mountinfo: / is shared", rootShared},
	{unix.EINVAL, "setns(2): the user namespace is the caller's own already, or the file is of another kind than asked for",
		"compare the links in /proc/PID/ns of both", "", nil},
	{unix.EINVAL, "a mount namespace can be pinned only in an older one and on a private mount",
		"pin it from the host's mount namespace, in a folder that is a private mount", "", nil},
	{unix.ENOSPC, "the limit of namespaces per user is reached; it is not about the disk",
		"raise user.max_*_namespaces with sysctl(8), or end some", "sys/user: a limit is 0", limitZero},
	{unix.ENOSPC, "user and pid namespaces nest up to 32 levels", "make it further out", "", nil},
	{unix.EUSERS, "user namespaces nest up to 32 levels (before Linux 4.9 the limit of namespaces says so, too)", "make it further out", "", nil},
	{unix.EUSERS, "a program with several threads cannot enter a time namespace", "enter it with a new process of one thread", "", nil},
	{unix.EACCES, "the time namespace has a process in it already, and so its offsets are fixed",
		"write timens_offsets between unshare(CLONE_NEWTIME) and the first child", "", nil},
	{unix.EACCES, "a security module (AppArmor, SELinux) refused it", "look in the kernel log (dmesg) for the denial, and in /proc/self/attr/current for the profile", "self/attr/current", confined},
	{unix.ENOMEM, "pid 1 of that pid namespace has ended, so nobody can enter any more", "make a new one", "", nil},
	{unix.ERANGE, "a clock would be before its zero with that offset, or beyond what the kernel counts", "use a smaller offset", "", nil},
	{unix.EBUSY, "pivot_root(2): the new root is on the current root's mount; umount(2): something is still in use there",
		"bind-mount the new root on itself; look for users with fuser -vm, or detach", "", nil},
	{unix.ESRCH, "the process has ended meanwhile", "look whether it is there: ls /proc/PID", "", nil},
}

// Explain lists the likely causes of an error from this package, those first that
// are confirmed on this machine. An error without an errno gets none.
func Explain(procRoot string, err error) []Cause {
	var confirmed, likely []Cause
	for _, f := range causeFacts {
		if !errors.Is(err, f.errno) {
			continue
		}
		c := Cause{Why: f.why, Try: f.try, From: f.from}
		if f.look != nil && f.look(procRoot) {
			c.Confirmed = true
			confirmed = append(confirmed, c)
		} else {
			likely = append(likely, c)
		}
	}
	return append(append(switchCauses(procRoot, err), confirmed...), likely...)
}

// switchCauses are the settings that refuse, and refuse with this errno.
func switchCauses(procRoot string, err error) []Cause {
	var list []Cause
	for _, s := range Switches(procRoot) {
		for _, errno := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.ENOSPC} {
			if s.Refuses && errors.Is(err, errno) && strings.Contains(s.Effect, unix.ErrnoName(errno)) {
				list = append(list, Cause{Why: fmt.Sprintf("%s is %s: %s", s.Name, s.Value, s.Effect), Try: s.Try, Confirmed: true, From: s.File})
			}
		}
	}
	return list
}

// selfPid finds the reader's own pid in that proc filesystem.
func selfPid(procRoot string) int {
	pid, err := ownPidIn(procRoot)
	if err != nil {
		return 0 // no process has it, so what is looked for will not be there
	}
	return pid
}

func lacksAdmin(procRoot string) bool {
	st, err := ReadStatus(procRoot, selfPid(procRoot))
	return err == nil && st.CapEff>>unix.CAP_SYS_ADMIN&1 == 0
}

func hasFilter(procRoot string) bool {
	st, err := ReadStatus(procRoot, selfPid(procRoot))
	return err == nil && st.Seccomp != 0
}

// inChroot: mountinfo leaves out what is not below the root of the reader. In a
// chroot to a plain folder there is no line for / itself.
func inChroot(procRoot string) bool {
	list, err := Mounts(procRoot, selfPid(procRoot))
	return err == nil && MountAt(list, "/") == nil
}

func rootShared(procRoot string) bool {
	list, err := Mounts(procRoot, selfPid(procRoot))
	root := MountAt(list, "/")
	return err == nil && root != nil && PropagationOf(root) == Shared
}

func inUserNS(procRoot string) bool {
	id, err := ID(procRoot, selfPid(procRoot), User)
	return err == nil && !User.IsInitial(id)
}

func lacksKind(procRoot string) bool {
	ids, err := IDs(procRoot, selfPid(procRoot))
	return err == nil && len(ids) > 0 && len(ids) < len(Kinds())
}

func limitZero(procRoot string) bool {
	limits, err := Limits(procRoot)
	for _, n := range limits {
		if n == 0 && err == nil {
			return true
		}
	}
	return false
}

func confined(procRoot string) bool {
	text, err := os.ReadFile(procRoot + "/" + strconv.Itoa(selfPid(procRoot)) + "/attr/current")
	label := strings.TrimRight(string(text), "\x00\n")
	return err == nil && label != "" && !strings.HasPrefix(label, "unconfined")
}
