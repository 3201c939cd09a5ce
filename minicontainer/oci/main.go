package oci

import (
	"os"
	"runtime"
	"strconv"
)

// The init stage, when this program was started as one: it never comes back from
// here. An init function, not the first call of main, because Go initialises the
// packages before main runs, and those of the rest of the program (registries,
// FUSE, the labs) take longer than the stage itself. This one's turn comes as soon
// as what it imports is ready; so mind what this package and those below it import.
func init() {
	if os.Args[0] != initName || len(os.Args) != 2 {
		return
	}
	// Namespaces, capabilities, seccomp and the session belong to a thread. All
	// of init runs on this one, and so does the exec, which ends the others.
	runtime.LockOSThread()
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(2)
	}
	w := wire{os.NewFile(uintptr(fd), "runtime")}
	err = beInit(w)
	// Still here: something failed. The runtime is told; if it is not there any
	// more, the container's own standard error is all that is left.
	if w.sendJSON(reply{Error: err.Error()}) != nil {
		os.Stderr.WriteString(err.Error() + "\n")
	}
	os.Exit(1)
}
