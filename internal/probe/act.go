package probe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Some probes need one more process: the first one of a pid namespace, one
// that is paused in a user namespace, one born inside a cgroup. It is this
// program again, with a part to act.

// act plays one part, prints a Finding as JSON, and returns.
func act(part string) {
	parts := map[string]func() Finding{
		"pid": actPid, "user": actUser, "limit": actLimit, "cgroup": actCgroup, "pause": actPause,
	}
	if play, ok := parts[part]; ok {
		_ = json.NewEncoder(os.Stdout).Encode(play())
	}
}

// actor returns the command for a part, not started.
func actor(part string, attr *syscall.SysProcAttr) *exec.Cmd {
	attr.Pdeathsig = syscall.SIGKILL
	return &exec.Cmd{Path: self, Args: []string{childName, part}, SysProcAttr: attr, WaitDelay: time.Second}
}

// performPart starts a part and returns its finding. An error to start is judged
// by v: clone(2) is the question then.
func performPart(part string, attr *syscall.SysProcAttr, v verdict) Finding {
	cmd := actor(part, attr)
	out := new(bytes.Buffer)
	cmd.Stdout = out
	call := fmt.Sprintf("clone(%s)", cloneNames(attr.Cloneflags))
	if err := cmd.Start(); err != nil {
		return asked(call, err, v)
	}
	err := cmd.Wait()
	f := Finding{State: Unknown, Reason: "the probe's process died"}
	if json.Unmarshal(out.Bytes(), &f) != nil {
		return f.saw("live", call, err, "")
	}
	return f
}

// actPid says which pid it has: 1 in a pid namespace of its own.
func actPid() Finding {
	if pid := os.Getpid(); pid != 1 {
		return Finding{State: No}.saw("live", "getpid() after clone(CLONE_NEWPID)", nil, fmt.Sprint(pid))
	}
	return Finding{State: Yes}.saw("live", "getpid() after clone(CLONE_NEWPID)", nil, "1")
}

// actUser uses the privilege that a user namespace is supposed to give.
// Ubuntu since 23.10 lets anyone create one and then takes the capabilities
// away, so that creation alone proves nothing.
func actUser() Finding {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	f := asked(`mount("", "/", MS_REC|MS_PRIVATE) inside`, err, verdict{})
	return f.then(func() Finding {
		err := unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "")
		return asked("mount(tmpfs) inside", err, verdict{present: []unix.Errno{unix.ENOENT}})
	})
}

// actLimit turns the namespace count of its own user namespace down to 0 and
// runs into it: the errno of "too many namespaces", without touching the host.
func actLimit() Finding {
	const file = "/proc/sys/user/max_uts_namespaces"
	if err := os.WriteFile(file, []byte("0"), 0); err != nil {
		return asked("write 0 to "+file+" of a user namespace", err, driver)
	}
	return onThread(func() Finding {
		err := unix.Unshare(unix.CLONE_NEWUTS)
		f := asked("unshare(CLONE_NEWUTS) with "+file+" = 0", err, verdict{present: []unix.Errno{unix.ENOSPC}})
		if err == nil {
			f.State, f.Reason = No, "a limit of 0 did not stop a new namespace"
		}
		return f
	})
}

// actCgroup says in which v2 cgroup it was born.
func actCgroup() Finding {
	return Finding{State: Yes}.saw("file", "/proc/self/cgroup", nil, ownCgroups()[""])
}

// actPause waits until its standard input closes.
func actPause() Finding {
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return Finding{State: Yes}
}
