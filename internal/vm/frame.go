package vm

import (
	"encoding/binary"
	"fmt"
	"io"
)

// frameKind says what a frame is. One byte on the wire.
type frameKind byte

const (
	kindHello  frameKind = iota + 1 // guest: the agent is up (JSON hello)
	kindOpen                        // host: start a task on a new stream (JSON request)
	kindData                        // both: bytes of one channel
	kindEOF                         // both: no more bytes on that channel
	kindGrant                       // both: the receiver took n bytes, send n more (uint32)
	kindResize                      // host: new terminal size (2 x uint16: rows, columns)
	kindSignal                      // host: signal the task's process group (one byte)
	kindExit                        // guest: the task ended (JSON outcome); last of its stream
	kindPing                        // host: are you there
	kindPong                        // guest: yes
	kindWake                        // host: a kept guest runs again (JSON wake); it says hello once more
	kindLast                        // not a kind: the end of the list
)

// channel is one of a stream's three byte pipes.
type channel byte

const (
	stdin channel = iota
	stdout
	stderr
	channels // how many there are
)

const (
	frameHeader  = 10
	maxPayload   = 32 << 10  // small enough that no stream waits long for another
	streamWindow = 256 << 10 // bytes that may be on their way, per channel
)

// frame is the unit of the line between host and guest: a header of
// kind[1] channel[1] stream[4] length[4], little endian, and the payload.
// Stream 0 is the line itself (hello, ping, pong).
type frame struct {
	Kind    frameKind
	Channel channel
	Stream  uint32
	Payload []byte
}

// appendFrame renders a frame.
func appendFrame(to []byte, f frame) []byte {
	to = append(to, byte(f.Kind), byte(f.Channel))
	to = binary.LittleEndian.AppendUint32(to, f.Stream)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(f.Payload)))
	return append(to, f.Payload...)
}

// readFrame reads one frame. After any error but io.EOF the line is out of step and
// must not be used again.
func readFrame(r io.Reader) (frame, error) {
	var h [frameHeader]byte
	if n, err := io.ReadFull(r, h[:]); err != nil {
		if n == 0 {
			return frame{}, err
		}
		return frame{}, fmt.Errorf("read frame header, got %d of %d bytes: %w", n, frameHeader, noEOF(err))
	}
	f := frame{Kind: frameKind(h[0]), Channel: channel(h[1]), Stream: binary.LittleEndian.Uint32(h[2:])}
	size := binary.LittleEndian.Uint32(h[6:])
	if f.Kind == 0 || f.Kind >= kindLast || f.Channel >= channels || size > maxPayload {
		return frame{}, fmt.Errorf("frame header %x: no such kind, channel or length", h)
	}
	if size == 0 {
		return f, nil
	}
	f.Payload = make([]byte, size)
	if n, err := io.ReadFull(r, f.Payload); err != nil {
		return frame{}, fmt.Errorf("read frame payload, got %d of %d bytes: %w", n, size, noEOF(err))
	}
	return f, nil
}
