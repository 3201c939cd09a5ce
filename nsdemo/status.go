package nsdemo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Status is what /proc/PID/status tells about a process (proc_pid_status(5)).
type Status struct {
	Name      string
	State     string // R, S, D, Z ...
	Pid, PPid int    // as seen from where /proc was mounted
	// NSpid has the pid in every pid namespace from that of /proc down to the
	// process's own, which is last.
	NSpid  []int
	UID    [4]int // real, effective, saved, filesystem
	GID    [4]int
	Groups []int
	// CapInh ... CapAmb are bit masks of capabilities(7), bit n for capability n.
	CapInh, CapPrm, CapEff, CapBnd, CapAmb uint64
	// SigBlk, SigIgn, SigCgt are bit masks of signals, bit n-1 for signal n.
	SigBlk, SigIgn, SigCgt uint64
	NoNewPrivs             bool
	Seccomp                int // 0 off, 1 strict, 2 filter
}

// ReadStatus reads procRoot/PID/status.
func ReadStatus(procRoot string, pid int) (Status, error) {
	f, err := os.Open(filepath.Join(procRoot, strconv.Itoa(pid), "status"))
	if err != nil {
		return Status{}, err
	}
	defer f.Close()
	return ParseStatus(f)
}

// Handles tells whether the process has a handler for a signal. Pid 1 of a pid
// namespace gets from within only those that it has (pid_namespaces(7)).
func (s Status) Handles(sig unix.Signal) bool { return s.SigCgt>>(sig-1)&1 == 1 }

// InnerPid is the pid in the process's own pid namespace.
func (s Status) InnerPid() int {
	if len(s.NSpid) == 0 {
		return s.Pid
	}
	return s.NSpid[len(s.NSpid)-1]
}

// ParseStatus reads the lines "Name:<tab>value". Unknown ones are left out:
// every kernel version adds some.
func ParseStatus(r io.Reader) (Status, error) {
	var s Status
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), ":")
		if !found {
			continue
		}
		if err := s.set(key, strings.TrimSpace(value)); err != nil {
			return Status{}, fmt.Errorf("status line %q: %w", lines.Text(), err)
		}
	}
	if err := lines.Err(); err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	return s, nil
}

func (s *Status) set(key, value string) (err error) {
	masks := map[string]*uint64{
		"CapInh": &s.CapInh, "CapPrm": &s.CapPrm, "CapEff": &s.CapEff, "CapBnd": &s.CapBnd, "CapAmb": &s.CapAmb,
		"SigBlk": &s.SigBlk, "SigIgn": &s.SigIgn, "SigCgt": &s.SigCgt,
	}
	if mask, ok := masks[key]; ok {
		*mask, err = strconv.ParseUint(value, 16, 64)
		return err
	}
	switch key {
	case "Name":
		s.Name = value
	case "State":
		s.State = value[:min(1, len(value))]
	case "Pid":
		s.Pid, err = strconv.Atoi(value)
	case "PPid":
		s.PPid, err = strconv.Atoi(value)
	case "NSpid":
		s.NSpid, err = numbers(value)
	case "Groups":
		s.Groups, err = numbers(value)
	case "Uid":
		err = four(value, &s.UID)
	case "Gid":
		err = four(value, &s.GID)
	case "NoNewPrivs":
		s.NoNewPrivs = value == "1"
	case "Seccomp":
		s.Seccomp, err = strconv.Atoi(value)
	}
	return err
}

func numbers(text string) ([]int, error) {
	var list []int
	for _, word := range strings.Fields(text) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func four(text string, to *[4]int) error {
	list, err := numbers(text)
	if err != nil {
		return err
	}
	if len(list) != len(to) {
		return fmt.Errorf("%d numbers; want 4", len(list))
	}
	copy(to[:], list)
	return nil
}
