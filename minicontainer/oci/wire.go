package oci

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/seccomp"
)

// wire is one end of the socket between the runtime and the init stage:
//
//	runtime                                   init
//	  | -- order, config.json, filter --------> |   once it is in its cgroups
//	  |                                         |   mounts, devices
//	  | <------------------------------ hooks --|   only where there are any
//	  |    prestart, createRuntime              |
//	  | -- go --------------------------------> |   pivot ...
//	  | <----------------------------- limits --|
//	  |    prlimit                              |
//	  | -- go --------------------------------> |   identity ...
//	  | <--------------------------- listener --|   only of a filter that notifies
//	  |    to its agent                         |
//	  | -- go --------------------------------> |
//	  | <--------------- ready, or an error ----|
//	  | <-- end of file, or a last error -------|   at the exec
//
// A message is a length and that many bytes.
type wire struct {
	f *os.File
}

// newWire makes both ends (socketpair(2)), closed at exec.
func newWire() (runtime, init wire, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return wire{}, wire{}, fmt.Errorf("socketpair: %w", err)
	}
	return wire{os.NewFile(uintptr(fds[0]), "runtime")}, wire{os.NewFile(uintptr(fds[1]), "init")}, nil
}

// order is all that the init stage needs beside the spec itself. Descriptors
// are numbers: they were inherited. -1 is none.
type order struct {
	State    State              `json:"state"`
	Exec     bool               `json:"exec"` // join a container that is there, build nothing
	Tree     int                `json:"tree"`
	Sources  []int              `json:"sources"`
	Fifo     int                `json:"fifo"`
	Console  int                `json:"console"`
	Preserve int                `json:"preserve"` // how many descriptors from 3 on go to the program
	Keyring  bool               `json:"keyring"`
	Cgroups  []rootfs.Hierarchy `json:"cgroups"`
}

// What init may ask for.
const (
	askHooks    = "hooks"
	askLimits   = "limits"
	askListener = "listener"
)

// reply is what init says back.
type reply struct {
	Ask      string `json:"ask,omitempty"` // something to be done outside before it goes on
	Listener int    `json:"listener,omitempty"`
	Ready    bool   `json:"ready,omitempty"`
	Error    string `json:"error,omitempty"`
}

const maxMessage = 64 << 20

func (w wire) send(payload []byte) error {
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(payload)), uint32(len(payload)))
	_, err := w.f.Write(append(frame, payload...))
	return err
}

func (w wire) sendJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.send(text)
}

// sendOrders sends all that init is told at the beginning.
func (w wire) sendOrders(o order, spec []byte, filter *seccomp.Filter) error {
	return errors.Join(w.sendJSON(o), w.send(spec), w.send(filter.Encode()))
}

// receive returns io.EOF when the other end was closed between two messages.
func (w wire) receive() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(w.f, size[:]); err != nil {
		if errors.Is(err, unix.ECONNRESET) {
			return nil, io.EOF // it ended without reading all that was sent
		}
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(w.f, payload)
	return payload, err
}

func (w wire) receiveJSON(v any) error {
	text, err := w.receive()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// attend does what init asks for, until it is ready.
func (w wire) attend(duties map[string]func(reply) error) error {
	for {
		r, err := w.answer()
		if err != nil || r.Ready {
			return err
		}
		if err := duties[r.Ask](r); err != nil {
			return err
		}
		if err := w.sendJSON(reply{}); err != nil {
			return err
		}
	}
}

// answer takes init's next message; an error in it becomes one here.
func (w wire) answer() (reply, error) {
	var r reply
	err := w.receiveJSON(&r)
	if errors.Is(err, io.EOF) {
		return r, errors.New("unable to start container process: the init stage ended without a word; " +
			"was it killed (out of memory, pids limit)?")
	}
	if err == nil && r.Error != "" {
		err = fmt.Errorf("unable to start container process: %s", r.Error)
	}
	return r, err
}

// awaitExec waits for the end of file that the exec means, or a last error.
func (w wire) awaitExec() error {
	var r reply
	err := w.receiveJSON(&r)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("unable to start container process: %s", r.Error)
}
