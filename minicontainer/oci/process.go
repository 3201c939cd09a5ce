package oci

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procStat is the part of /proc/PID/stat that tells one process from another
// that got the same number later (proc_pid_stat(5)).
type procStat struct {
	State     byte   // 'Z' and 'X' are dead
	StartTime uint64 // clock ticks since boot
}

// parseStat reads the line. The name in parentheses may hold anything, spaces
// and parentheses too, so counting begins behind the last one.
func parseStat(text []byte) (procStat, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("no process name in %q", text)
	}
	fields := strings.Fields(string(text[end+1:]))
	const startTime = 22 - 3 // field numbers of the manual page; the first here is the third
	if len(fields) <= startTime || len(fields[0]) != 1 {
		return procStat{}, fmt.Errorf("too few fields in %q", text)
	}
	n, err := strconv.ParseUint(fields[startTime], 10, 64)
	return procStat{fields[0][0], n}, err
}

func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(text)
}

// bootID is this boot's name; a state file of another one is about nothing.
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}

// alive says whether the container's process is there, and is still that one.
func (s *State) alive() bool {
	boot, err := bootID()
	if err != nil || boot != s.BootID || s.Pid <= 0 {
		return false
	}
	st, err := readStat(s.Pid)
	return err == nil && st.StartTime == s.StartTime && st.State != 'Z' && st.State != 'X'
}

// openPidfd opens the container's process so that no other one can be meant from
// here on (pidfd_open(2)): opened first, compared after.
func (s *State) openPidfd() (*os.File, error) {
	fd, err := unix.PidfdOpen(s.Pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open(%d): %w", s.Pid, err)
	}
	if !s.alive() {
		unix.Close(fd)
		return nil, ErrNotRunning
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// remember takes the marks of a new process.
func (s *State) remember(pid int) error {
	st, err := readStat(pid)
	if err != nil {
		return err
	}
	s.Pid, s.StartTime = pid, st.StartTime
	s.BootID, err = bootID()
	return err
}
