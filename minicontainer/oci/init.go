package oci

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/seccomp"
)

// box is the container as its init stage sees it, from the inside.
type box struct {
	order
	spec    *specs.Spec
	process *specs.Process
	who     *identity
	runtime wire
	setup   *rootfs.Setup
	root    *rootfs.Root
	proc    *rootfs.Proc
	cover   *rootfs.Cover
	filter  *seccomp.Filter
	program string
	inDir   bool // cwd was entered
}

// step is one line of a boot list; the name is for its error.
type step struct {
	name string
	do   func(*box) error
}

// createList makes a container out of a process that is in the right
// namespaces. This order is the whole story of the runtime.
var createList = []step{
	{"close what was inherited", (*box).closeInherited},
	{"host's /proc and /dev/null", (*box).openHost}, // while they are still the host's
	{"session", newSession},                         // no terminal of the host, no keys of the host
	{"cgroup namespace", unshareCgroups},            // now that the process is in its cgroups
	{"loopback device", (*box).raiseLoopback},
	{"root file system", (*box).beginRoot}, // its clone, at its own place
	{"mounts", (*box).mount},
	{"devices", (*box).makeDevices},
	{"runtime hooks", (*box).askForHooks},      // prestart, createRuntime: outside
	{"container hooks", (*box).containerHooks}, // createContainer: inside, the host's files still in reach
	{"pivot", (*box).pivot},                    // the host's files are gone
	{"terminal", (*box).openTerminal},          // from the container's own devpts
	{"working directory", (*box).makeDir},
	{"read-only root", (*box).sealRoot}, // after everything that had to be made in it
	{"host name", (*box).setNames},
	{"sysctls", (*box).setSysctls},
	{"masked and read-only paths", (*box).coverPaths},
	{"propagation of the root", (*box).propagate},
	{"limits", (*box).askForLimits}, // set from outside
	{"identity", (*box).becomeUser}, // capabilities, seccomp, user: no way back
	{"program", (*box).findProgram},
	{"seccomp listener", (*box).filterNotifying}, // for the agent, as long as the runtime is there
	{"ready", (*box).reportReady},
	{"start", (*box).awaitStart}, // "created" lasts here
	{"start hooks", (*box).startHooks},
	{"exec", (*box).exec},
}

// execList puts one more process into a container that is there.
var execList = []step{
	{"close what was inherited", (*box).closeInherited},
	{"session", newSession},
	{"root", (*box).takeRoot},
	{"terminal", (*box).openTerminal},
	{"limits", (*box).askForLimits},
	{"identity", (*box).becomeUser},
	{"program", (*box).findProgram},
	{"seccomp listener", (*box).filterNotifying}, // for the agent, as long as the runtime is there
	{"ready", (*box).reportReady},
	{"exec", (*box).exec},
}

// beInit takes the orders and follows the list. It returns only with an error.
func beInit(w wire) error {
	b, err := takeOrders(w)
	if errors.Is(err, io.EOF) {
		os.Exit(0) // there was never an order: this process only held a namespace
	}
	if err != nil {
		return fmt.Errorf("error during container init: %w", err)
	}
	list := createList
	if b.Exec {
		list = execList
	}
	for _, s := range list {
		err := s.do(b)
		var program *programError
		if errors.As(err, &program) {
			return err // engines choose their exit status by the beginning of this text
		}
		if err != nil {
			return fmt.Errorf("error during container init: %s: %w", s.name, err)
		}
	}
	return nil
}

// takeOrders waits for the runtime, which puts this process into its cgroups first.
func takeOrders(w wire) (*box, error) {
	b := &box{runtime: w}
	if err := w.receiveJSON(&b.order); err != nil {
		return nil, err
	}
	raw, err := w.receive()
	if err != nil {
		return nil, err
	}
	if b.spec, err = parseSpec(raw, false); err != nil {
		return nil, err
	}
	b.process = b.spec.Process
	if b.who, err = planIdentity(b.process); err != nil {
		return nil, err
	}
	filter, err := w.receive()
	if err != nil {
		return nil, err
	}
	b.filter, err = seccomp.Decode(filter)
	return b, err
}

// closeInherited marks every descriptor to close at an exec (close_range(2)):
// the hooks', the program's. One that leads to a folder of the host is a way
// out of the container (CVE-2024-21626).
func (b *box) closeInherited() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range CLOSE_RANGE_CLOEXEC: %w", err)
	}
	return nil
}

// openHost opens what later steps need from the host, before any mount of the
// container can stand in the way.
func (b *box) openHost() error {
	var err error
	if b.proc, err = rootfs.OpenProc("/proc"); err != nil {
		return err
	}
	b.cover, err = rootfs.OpenCover("/dev/null")
	return err
}

// file turns a number from the orders into a file.
func file(fd int, name string) *os.File {
	if fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), name)
}
