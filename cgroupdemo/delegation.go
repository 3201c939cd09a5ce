package cgroupdemo

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DelegationError says why groups cannot be made below a directory, and the way out.
type DelegationError struct {
	Dir, File string
	Err       error
	WayOut    string
}

func (e *DelegationError) Error() string {
	return fmt.Sprintf("no groups can be made below %s: %s is not writable: %v; %s", e.Dir, e.File, e.Err, e.WayOut)
}

func (e *DelegationError) Unwrap() error { return e.Err }

// Delegation asks faccessat(2) with AT_EACCESS whether the caller may make
// groups below dir and move processes there: the directory, cgroup.procs and,
// on version 2, cgroup.subtree_control have to be writable (cgroup-v2.rst,
// "Delegation"). nil means yes; else a [DelegationError].
func Delegation(v Version, dir string) error {
	files := []string{".", "cgroup.procs"}
	if v == V2 {
		files = append(files, "cgroup.subtree_control")
	}
	for _, file := range files {
		path := filepath.Join(dir, file)
		if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
			return &DelegationError{dir, file, err, wayOut(v, err)}
		}
	}
	return nil
}

func wayOut(v Version, err error) string {
	switch {
	case err == unix.ENOENT:
		return "this is not a control group of that version"
	case err == unix.EROFS:
		return "the cgroup filesystem is mounted read-only, as in most containers: run on the host, or remount it writable"
	case v == V1:
		return "version 1 has no safe delegation to ordinary users: run as root"
	}
	return "ask systemd for a subtree of your own: systemd-run --user --scope -p Delegate=yes <command>; or run as root"
}
