package oci

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// wire is one end of the socket between the runtime and the stage. A message is
// a length and that many bytes: a reply as JSON, a part of the orders, or what
// a script says when one of its calls failed.
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

// What the stage may ask for.
const (
	askBuild    = "build"
	askHooks    = "hooks"
	askLimits   = "limits"
	askListener = "listener"
)

// reply is what the stage says.
type reply struct {
	Ask   string `json:"ask,omitempty"` // something to be done outside before it goes on
	Ready bool   `json:"ready,omitempty"`
	Error string `json:"error,omitempty"`
}

const maxMessage = 64 << 20

func (w wire) send(payload []byte) error {
	_, err := w.f.Write(frame(payload))
	return err
}

// frame is a message as it is sent.
func frame(payload []byte) []byte {
	length := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(payload)), uint32(len(payload)))
	return append(length, payload...)
}

func (w wire) sendJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.send(text)
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

// wordSize is that of a number which a script sends as it lies in its memory.
const wordSize = 8

func (w wire) receiveWord() (int, error) {
	var word [wordSize]byte
	_, err := io.ReadFull(w.f, word[:])
	return int(binary.LittleEndian.Uint64(word[:])), err
}

func (w wire) receiveJSON(v any) error {
	text, err := w.receive()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
