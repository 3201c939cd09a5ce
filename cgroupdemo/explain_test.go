package cgroupdemo

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	tests := []struct {
		verb Verb
		err  error
		want string // in Likely
	}{
		{VerbRmdir, unix.EBUSY, "still inside"},
		{VerbEnable, unix.EBUSY, "no internal processes"},
		{VerbEnable, unix.ENOENT, "not given this controller"},
		{VerbEnable, unix.EOPNOTSUPP, "threaded"},
		{VerbAttach, unix.EBUSY, "no internal processes"},
		{VerbAttach, unix.ENOSPC, "cpuset"},
		{VerbThread, unix.EOPNOTSUPP, "threaded"},
		{VerbFork, unix.EAGAIN, "pids.max"},
		{VerbOpen, unix.EPERM, "device rule"},
		{VerbWrite, unix.EINVAL, "out of range"},
		{VerbWrite, &fs.PathError{Op: "open", Path: "/x", Err: unix.ENOENT}, "not enabled"},
		{VerbWrite, unix.EACCES, "delegated"},
		{VerbMkdir, &DelegationError{"/d", ".", unix.EACCES, "way"}, "delegated"},
		{VerbMkdir, fmt.Errorf("controller: %w", ErrNoController), "lacks the controller"},
	}
	for _, test := range tests {
		got := Explain(test.verb, fmt.Errorf("wrapped: %w", test.err))
		if !strings.Contains(got.Likely, test.want) || got.Do == "" || !strings.Contains(got.Failed, "wrapped") {
			t.Errorf("Explain(%s, %v) = %+v; want it to speak of %q", test.verb, test.err, got, test.want)
		}
	}
	if got := Explain(VerbMkdir, unix.EXDEV); got.Likely != "" || got.Failed == "" {
		t.Errorf("Explain of an unknown errno = %+v; want Failed alone", got)
	}
	if got := Explain(VerbMkdir, nil); got != (Advice{}) {
		t.Errorf("Explain(nil) = %+v; want nothing", got)
	}
}

func TestDelegation(t *testing.T) {
	if err := Delegation(V2, t.TempDir()); err == nil || !strings.Contains(err.Error(), "cgroup.procs") {
		t.Errorf("Delegation of a folder without cgroup.procs = %v; want an error that names it", err)
	}
	for v, want := range map[Version]string{V1: "as root", V2: "systemd-run"} {
		if got := wayOut(v, unix.EACCES); !strings.Contains(got, want) {
			t.Errorf("wayOut(%s) = %q; want %q in it", v, got, want)
		}
	}
}
