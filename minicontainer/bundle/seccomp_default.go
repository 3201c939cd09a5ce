package bundle

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The default filter allows what programs need and answers EPERM to the rest.
// It is a list of what is allowed, not of what is forbidden: a system call that
// a later kernel brings is forbidden until somebody has thought about it.
//
// Left out on purpose, among others: keyctl add_key request_key (keys are not
// namespaced), userfaultfd and io_uring (their bugs), kexec_load swapon nfsservctl
// uselib (the host's business), mount setns unshare and new namespaces by clone
// (need CAP_SYS_ADMIN, see below).
const allowedCalls = `
	accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
	recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair

	access chdir chmod chown chown32 creat faccessat faccessat2 fchdir fchmod fchmodat fchmodat2 fchown fchown32
	fchownat fgetxattr flistxattr fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 futimesat
	getcwd getdents getdents64 getxattr getxattrat lchown lchown32 lgetxattr link linkat listxattr listxattrat
	llistxattr lremovexattr lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open
	openat openat2 readlink readlinkat removexattr removexattrat rename renameat renameat2 rmdir setxattr
	setxattrat stat stat64 statfs statfs64 statx symlink symlinkat truncate truncate64 umask unlink unlinkat utime
	utimensat utimensat_time64 utimes cachestat

	_llseek _newselect close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 arm_fadvise64_64
	fallocate fcntl fcntl64 fdatasync flock fsync ftruncate ftruncate64 ioctl lseek pipe pipe2 poll ppoll
	ppoll_time64 pread64 preadv preadv2 pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readv
	select sendfile sendfile64 splice sync sync_file_range sync_file_range2 arm_sync_file_range syncfs tee vmsplice
	write writev

	epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
	eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch signalfd signalfd4
	io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set

	brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
	mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
	remap_file_pages

	arch_prctl modify_ldt set_thread_area get_thread_area set_tls breakpoint cacheflush riscv_flush_icache
	capget capset execve execveat exit exit_group fork vfork getegid getegid32 geteuid geteuid32 getgid getgid32
	getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32
	getrlimit getrusage getsid gettid getuid getuid32 kill landlock_add_rule landlock_create_ruleset
	landlock_restrict_self nice pause pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall rseq seccomp
	set_robust_list get_robust_list set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
	setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
	setreuid setreuid32 setrlimit setsid setuid setuid32 tgkill tkill ugetrlimit wait4 waitid waitpid
	kcmp pidfd_getfd process_vm_readv process_vm_writev ptrace

	rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
	rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn sigsuspend

	sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
	sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
	sched_setparam sched_setscheduler sched_yield

	adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
	clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create
	timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
	timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times

	futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc mq_getsetattr mq_notify mq_open
	mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd
	semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget

	getcpu getrandom sysinfo uname`

// callsOf are allowed to who has the capability that the kernel asks for anyway.
var callsOf = []struct{ capability, calls string }{
	{"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
	{"CAP_SYS_ADMIN", `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr
		move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare`},
	{"CAP_SYS_BOOT", "reboot"},
	{"CAP_SYS_CHROOT", "chroot"},
	{"CAP_SYS_MODULE", "delete_module init_module finit_module"},
	{"CAP_SYS_PACCT", "acct"},
	{"CAP_SYS_PTRACE", "process_madvise"},
	{"CAP_SYS_RAWIO", "iopl ioperm"},
	{"CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"},
	{"CAP_SYS_TTY_CONFIG", "vhangup"},
	{"CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
	{"CAP_SYSLOG", "syslog"},
	{"CAP_BPF", "bpf"},
	{"CAP_PERFMON", "perf_event_open"},
}

// newNamespaces are the flags of clone(2) that make a namespace: all but
// CLONE_NEWTIME, which shares its bit with the signal number.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// defaultProfile is the filter in the form in which a profile file has it.
func defaultProfile() *Profile {
	p := &Profile{DefaultAction: specs.ActErrno, DefaultErrno: errno(unix.EPERM)}
	allow := func(names string, args []specs.LinuxSeccompArg, only, but Condition) {
		p.Syscalls = append(p.Syscalls, ProfileRule{Names: strings.Fields(names), Action: specs.ActAllow, Args: args, Includes: only, Excludes: but})
	}
	p.Syscalls = append(p.Syscalls, ProfileRule{Names: strings.Fields(allowedCalls), Action: specs.ActAllow})
	for _, c := range callsOf {
		allow(c.calls, nil, Condition{Caps: []string{c.capability}}, Condition{})
	}
	admin := Condition{Caps: []string{"CAP_SYS_ADMIN"}}
	allow("clone", []specs.LinuxSeccompArg{{Index: 0, Value: newNamespaces, Op: specs.OpMaskedEqual}}, Condition{}, admin)
	// The flags of clone3 are in memory, where a filter cannot look. ENOSYS has
	// C libraries fall back to clone.
	p.Syscalls = append(p.Syscalls, ProfileRule{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: errno(unix.ENOSYS), Excludes: admin})
	allow("socket", []specs.LinuxSeccompArg{{Index: 0, Value: unix.AF_VSOCK, Op: specs.OpNotEqual}}, Condition{}, Condition{})
	// The plain personalities: Linux, 32 bit, their UNAME26 forms, and asking.
	for _, persona := range []uint64{0, 0x8, 0x20000, 0x20008, 0xffffffff} {
		allow("personality", []specs.LinuxSeccompArg{{Index: 0, Value: persona, Op: specs.OpEqualTo}}, Condition{}, Condition{})
	}
	return p
}

func errno(e unix.Errno) *uint { n := uint(e); return &n }
