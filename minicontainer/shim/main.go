package shim

import (
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/minicontainer/launch"
	"cutaway/minicontainer/oci"
)

// A shim does not wait for main, whose turn comes when all packages of the program
// are initialised: those of the labs, of registries and tables are nothing to it,
// and take longer than what it does until it is ready.
func init() {
	if len(os.Args) != 3 || os.Args[0] != launch.ShimName {
		return
	}
	// On another goroutine: until main begins this one is bound to the first thread.
	go stay()
	select {}
}

// stay is the shim.
func stay() {
	lineFD, err := strconv.Atoi(os.Args[2])
	if err != nil || os.Chdir("/") != nil { // no folder of the caller's stays busy because of us
		os.Exit(2)
	}
	unix.CloseOnExec(lineFD)
	// What these signals want to end is the client. The container's end is ours. They
	// are caught, not ignored: what is ignored stays so across an exec, and the
	// container's programs could not be reached by them.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGPIPE)
	line, err := minicontainer.LineFrom(os.NewFile(uintptr(lineFD), "line"))
	if err != nil {
		os.Exit(2)
	}
	var settings minicontainer.Settings
	if _, err := line.Receive(&settings); err != nil {
		os.Exit(0) // nobody needs us after all
	}
	s, err := begin(os.Args[1], settings)
	if err != nil {
		refuse(line, minicontainer.Reply{Error: err.Error(), Code: 125})
	}
	s.run(line)
	os.Exit(0)
}

// refuse answers, and ends. The request is taken first: a socket that is closed
// with something unread resets the other side, whose answer is then lost.
func refuse(line *minicontainer.Line, why minicontainer.Reply) {
	line.Receive(&minicontainer.Request{})
	line.Send(why)
	os.Exit(1)
}

// begin opens what a shim needs.
func begin(id string, settings minicontainer.Settings) (*shim, error) {
	if err := oci.Adopt(); err != nil {
		return nil, err
	}
	e, err := minicontainer.Open(settings)
	if err != nil {
		return nil, err
	}
	s := &shim{id: id, engine: e, calledOff: make(chan struct{}, 1), children: newChildren()}
	return s, nil
}
