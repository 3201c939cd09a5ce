package labs

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// profile lets everything pass but a few calls: some fail with an errno of our
// choice, others end the process.
func profile(s *specs.Spec) {
	unsupported := uint(unix.EOPNOTSUPP)
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: &unsupported},
		{Names: []string{"symlink", "symlinkat"}, Action: specs.ActKillProcess},
	}}
}

const profileFilter = `.linux.seccomp={defaultAction:"SCMP_ACT_ALLOW",syscalls:[` +
	`{names:["mkdir","mkdirat"],action:"SCMP_ACT_ERRNO",errnoRet:95},` +
	`{names:["symlink","symlinkat"],action:"SCMP_ACT_KILL_PROCESS"}]}`

var (
	tryTouch   = try{"touch FILE", "touch", "touch /dev/shm/file"}
	tryMkdir   = try{"mkdir FOLDER", "mkdir", "mkdir /dev/shm/folder"}
	trySymlink = try{"ln -s", "ln", "ln -s target /dev/shm/link"}

	seccompTrial = trial{
		bundles: []bundle{{name: "unfiltered"}, {name: "filtered", change: profile, filter: profileFilter}},
		tries:   []try{tryTouch, tryMkdir, trySymlink},
	}
)

func securitySeccompStep() bench.Step {
	t := seccompTrial
	return bench.Step{
		Name: "seccomp", Reproduces: []string{"sec-seccomp"}, Inside: "filtered",
		Intend: t.intend, Do: t.act, ByHand: t.byHand(),
		Look: []bench.View{
			t.view("the filter, as the kernel shows it", statusRow("mode", "Seccomp"), filtersRow(), statusRow("no new privileges", "NoNewPrivs")),
			t.view("what each may do", tryRow(tryTouch), tryRow(tryMkdir), tryRow(trySymlink)),
		},
		Expect: []evidence.Expectation{
			cells("the process is in mode 2: every system call goes through a filter", "mode", "0", "2"),
			evidence.ColumnsDiffer("without a profile there is no filter", "mode", 0, 1),
			t.outcomes("a call that the profile does not list is allowed", tryTouch, "allowed", "allowed"),
			t.outcomes("mkdir fails with the errno that the profile says (95), though root may make folders there", tryMkdir, "allowed", "not supported"),
			t.outcomes("symlink ends the process with SIGSYS", trySymlink, "allowed", "SIGSYS"),
		},
	}
}

// filtersRow counts filters where the kernel tells (Linux 5.9).
func filtersRow() trialRow {
	return trialRow{"number of filters", "Seccomp_filters in /proc/PID/status", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		n, err := statusField(pid, "Seccomp_filters")
		if err != nil {
			n = "not told by this kernel"
		}
		return n, nil
	}}
}

// narrow has two limits that are easily met.
const (
	narrowFiles = 16
	narrowBytes = 64 << 10
)

func narrow(s *specs.Spec) {
	s.Process.Rlimits = []specs.POSIXRlimit{
		{Type: "RLIMIT_NOFILE", Soft: narrowFiles, Hard: narrowFiles},
		{Type: "RLIMIT_FSIZE", Soft: narrowBytes, Hard: narrowBytes},
	}
}

var (
	narrowFilter = fmt.Sprintf(`.process.rlimits=[{type:"RLIMIT_NOFILE",soft:%d,hard:%d},{type:"RLIMIT_FSIZE",soft:%d,hard:%d}]`,
		narrowFiles, narrowFiles, narrowBytes, narrowBytes)

	tryOpen   = try{"open 30 files", "open", "cd /dev/shm && tee a1 a2 a3 a4 a5 a6 a7 a8 a9 b1 b2 b3 b4 b5 b6 b7 b8 b9 c1 c2 c3 c4 c5 c6 c7 c8 c9 d1 d2 d3"}
	tryTooBig = try{"write 128 KiB", "write", "dd if=/dev/zero of=/dev/shm/big bs=4096 count=32 status=none"}
	tryIgnore = try{"write 128 KiB, SIGXFSZ ignored", "write-on", "trap '' XFSZ; dd if=/dev/zero of=/dev/shm/big bs=4096 count=32 status=none"}

	limitsTrial = trial{
		bundles: []bundle{{name: "wide"}, {name: "narrow", change: narrow, filter: narrowFilter}},
		tries:   []try{tryOpen, tryTooBig, tryIgnore},
	}
)

func securityLimitsStep() bench.Step {
	t := limitsTrial
	return bench.Step{
		Name: "limits", Reproduces: []string{"sec-limits"}, Inside: "narrow",
		Intend: t.intend, Do: t.act, ByHand: t.byHand(),
		Look: []bench.View{
			t.view("the limits of the process", limitRow("open files", "Max open files"), limitRow("file size", "Max file size")),
			t.view("what happens at the limit", tryRow(tryOpen), tryRow(tryTooBig), tryRow(tryIgnore), bigRow()),
		},
		Expect: []evidence.Expectation{
			cells("the limits are those of config.json", "open files", "1024", fmt.Sprint(narrowFiles)),
			cells("what the file does not set is not limited", "file size", "unlimited", fmt.Sprint(narrowBytes)),
			t.outcomes("the seventeenth open file is refused with EMFILE", tryOpen, "allowed", "Too many open files"),
			t.outcomes("who writes past the size limit is ended by a signal", tryTooBig, "allowed", "SIGXFSZ"),
			t.outcomes("and who ignores the signal gets EFBIG", tryIgnore, "allowed", "File too large"),
			cells("the file ends exactly at the limit", "size of big", "131072", fmt.Sprint(narrowBytes)),
		},
	}
}

// bigRow is the size of what was written, seen through the container's root.
func bigRow() trialRow {
	return trialRow{"size of big", "/proc/PID/root/dev/shm/big", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/root/dev/shm/big", pid))
		if err != nil {
			return "", err
		}
		return fmt.Sprint(info.Size()), nil
	}}
}
