package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/journal/mark"
)

// Process names one process for good: a pid alone is reused by the kernel,
// a pid with its start time is not (proc_pid_stat(5), field 22, in clock ticks
// since boot).
type Process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// Self is the calling process.
func Self() (Process, error) { return ProcessOf(os.Getpid()) }

// ProcessOf reads /proc/PID/stat. The error is fs.ErrNotExist when there is no
// such process.
func ProcessOf(pid int) (Process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, err
	}
	start, state, err := parseStat(string(stat))
	if err != nil {
		return Process{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	if state == "Z" || state == "X" {
		return Process{}, os.ErrNotExist // dead, only waiting to be reaped
	}
	return Process{Pid: pid, Start: start}, nil
}

// parseStat takes state (field 3) and start time (field 22) from the text of
// /proc/PID/stat. Field 2, the command, may itself contain spaces and brackets,
// so counting starts behind the last ")".
func parseStat(stat string) (start uint64, state string, err error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, "", fmt.Errorf("no command in %q", stat)
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 20 {
		return 0, "", fmt.Errorf("%d fields after the command, want at least 20", len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0], err
}

// Alive tells whether that very process still runs.
func (p Process) Alive() bool {
	now, err := ProcessOf(p.Pid)
	return err == nil && now == p
}

// Kill sends SIGKILL to that very process and waits until it is gone. The
// pidfd is opened before the start time is compared: from then on it refers to
// one process, whatever becomes of the number.
func (p Process) Kill() error {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	// EINVAL: the process is gone, but its number still names a process group or
	// session in which others live on; newer kernels say ESRCH to that, too.
	if err == unix.ESRCH || err == unix.EINVAL && !p.Alive() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_open(%d): %w", p.Pid, err)
	}
	defer unix.Close(fd)
	if !p.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill process %d: %w", p.Pid, err)
	}
	return p.waitGone(5 * time.Second)
}

func (p Process) waitGone(limit time.Duration) error {
	for deadline := time.Now().Add(limit); p.Alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d did not end within %v of SIGKILL: %w", p.Pid, limit, unix.EBUSY)
		}
	}
	return nil
}

// MarkedProcess is a process with the token that it carries.
type MarkedProcess struct {
	Process
	Token string
}

// Marked finds the processes whose environment carries the run's token, and
// those in the run's containers. A process that may not be looked into (another user's) is none of ours.
func Marked(token string) []Process {
	var found []Process
	for _, p := range AllMarked() {
		if p.Token == token {
			found = append(found, p.Process)
		}
	}
	return found
}

// AllMarked finds the processes of every run, dead or alive.
func AllMarked() []MarkedProcess {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []MarkedProcess
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		token := tokenIn(environ)
		if token == "" {
			// A container has an environment of its own, but is in the run's group.
			groups, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cgroup"))
			token, err = tokenOfContainer(string(groups)), nil
		}
		if err != nil || token == "" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, err := ProcessOf(pid); err == nil {
			found = append(found, MarkedProcess{p, token})
		}
	}
	return found
}

func tokenIn(environ []byte) string {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if token, ok := bytes.CutPrefix(entry, []byte(mark.Variable+"=")); ok {
			return string(token)
		}
	}
	return ""
}

// containerGroup is the group of a container that a run has made: the run's
// own, which names it, and in it one that is called by the container's id.
var containerGroup = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)/cutaway-(\d+-\d+)/[0-9a-f]{64}(/|$)`)
})

// tokenOfContainer finds the run in /proc/PID/cgroup (cgroups(7)).
func tokenOfContainer(groups string) string {
	if m := containerGroup().FindStringSubmatch(groups); m != nil {
		return m[1]
	}
	return ""
}

// BootID names this boot of the kernel (random(4)).
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}
