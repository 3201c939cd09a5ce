package oci

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/script"
	"cutaway/minicontainer/oci/seccomp"
)

// box is the container as who builds it sees it, from the inside: a thread of
// the runtime that visits its namespaces, or the init stage (see stage.go).
type box struct {
	state    State
	joins    bool // the container is there already: nothing is built
	spec     *specs.Spec
	process  *specs.Process
	filter   *seccomp.Filter
	who      *identity
	tree     *os.File   // the root file system, cloned
	sources  []*os.File // the bind mounts' sources, cloned; nil for other mounts
	fifo     *os.File   // start writes to it
	console  *os.File   // where the terminal's master side goes
	preserve int        // how many descriptors from 3 on go to the program
	keyring  bool       // a session keyring of its own
	cgroups  []rootfs.Hierarchy
	proc     *rootfs.Proc // the host's, as the container mounted nothing over it

	outside outside
	stdio   [3]*os.File // as the program will have them
	wire    int         // the number of the stage's end of the wire

	fsopen func(kind string) (*os.File, error) // for file systems that take the process's own view

	setup *rootfs.Setup
	root  *rootfs.Root
	cover *rootfs.Cover
	slave *os.File // of the terminal

	terminal *script.Arg // where the process finds it, if that is not here
	program  string
	env      []string
}

// outside does what cannot be done from inside.
type outside interface {
	runtimeHooks() error // they belong to the runtime's namespaces
	limits() error       // raising a hard limit is nothing that a user namespace allows
}

// identify turns the names of the process object into the kernel's numbers.
func (b *box) identify() error {
	var err error
	b.process = b.spec.Process
	b.who, err = planIdentity(b.process, b.spec.Linux.Personality)
	return err
}

// step is one line of a list; the name is for its error.
type step struct {
	name string
	do   func(*box) error
}

// createList makes a container around a process that is in the right
// namespaces. This order, and that of the script which the process performs
// afterwards (init_script.go), is the whole story of the runtime.
var createList = []step{
	{"host's /dev/null", (*box).openCover}, // while it is still the host's
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
	{"standard files", (*box).handOverStdio},
}

// execList is for one more process in a container that is there.
var execList = []step{
	{"root", (*box).takeRoot},
	{"terminal", (*box).openTerminal},
	{"limits", (*box).askForLimits},
	{"standard files", (*box).handOverStdio},
}

// build follows the list, on a thread that is inside.
func (b *box) build() error {
	list := createList
	if b.joins {
		list = execList
	}
	for _, s := range list {
		if err := s.do(b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// orders is the script for the process, which rehearse has to precede.
func (b *box) orders() *script.Script {
	s := &script.Script{}
	b.takeTerminal(s)
	b.becomeUser(s)  // capabilities, seccomp, user: no way back
	b.filterEarly(s) // for the agent, as long as the runtime is there
	b.reportReady(s)
	b.awaitStart(s) // "created" lasts here
	b.startHooks(s)
	b.exec(s)
	return s
}

// openCover opens what paths are masked with, before any mount of the container
// can stand in the way.
func (b *box) openCover() error {
	var err error
	b.cover, err = rootfs.OpenCover("/dev/null")
	return err
}

// initError names where an error comes from. That of a missing program stays as
// it is: engines choose their exit status by the beginning of its text.
func initError(err error) error {
	var program *programError
	if err == nil || errors.As(err, &program) {
		return err
	}
	return fmt.Errorf("error during container init: %w", err)
}
