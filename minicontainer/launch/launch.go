// Package launch starts shims: one when an engine asks for it, and one ahead of
// time for a client that is about to ask.
//
// A program of this size takes milliseconds to start, and half of them are its
// packages' initialisation. So `cutaway run` starts its container's shim while it
// is still being initialised itself (ahead.go), and both get ready at once, each on
// a processor of its own. That is why this package needs so few others: the Go
// linker initialises a package as soon as those that it imports are, and in the
// order of their paths among those that could be next.
package launch

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/spawn"
)

// ShimName is the argv[0] by which package shim knows that this program is to be
// one. The container's id follows, and the number of its end of the line.
const ShimName = "cutaway-shim"

// Shim starts a shim for a container, and returns the near end of a line to it: a
// unix socket that keeps messages apart (SOCK_SEQPACKET, unix(7)). The shim touches
// nothing until it is told where its engine is. It ends when the line is closed
// before that, be it by the death of this process.
func Shim(id string) (*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair AF_UNIX SOCK_SEQPACKET: %w", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), "line"), os.NewFile(uintptr(fds[1]), "line")
	defer far.Close()
	if err := start(id, far); err != nil {
		near.Close()
		return nil, fmt.Errorf("start shim: %w", err)
	}
	return near, nil
}

// start makes the process. It is in a session of its own, so that neither Ctrl-C
// nor a hang-up of the caller's terminal is meant for it; and an orphan, so that a
// daemon has no children who would have to be reaped, or handed over when it is
// started anew.
func start(id string, line *os.File) error {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	exe, err := os.OpenFile("/proc/self/exe", unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer exe.Close()
	_, err = spawn.Start(spawn.Process{
		Exe: exe, Env: os.Environ(), Orphan: true, Session: true,
		Argv:  []string{ShimName, id, strconv.Itoa(int(line.Fd()))},
		Stdio: [3]*os.File{null, null, null}, Keep: []*os.File{line},
	})
	return err
}
