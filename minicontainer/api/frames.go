package api

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// The kinds of frames.
const (
	frameIn   = 0 // input; an empty one is its end
	frameOut  = 1
	frameErr  = 2
	frameEnd  = 3 // ending, as JSON
	frameSize = 4 // minicontainer.Size, as JSON
)

// maxFrame bounds what one side makes the other keep in memory.
const maxFrame = 1 << 20

// ending is how it ended.
type ending struct {
	Code  int
	Error string `json:",omitempty"`
}

// frames writes and reads frames on one connection. Several goroutines may write.
type frames struct {
	r  io.Reader
	w  io.Writer
	mu sync.Mutex
}

func (f *frames) write(kind byte, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	head := [8]byte{kind}
	binary.BigEndian.PutUint32(head[4:], uint32(len(content)))
	// One write, so that a peer that dies leaves whole frames.
	_, err := f.w.Write(append(head[:], content...))
	return err
}

func (f *frames) writeJSON(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.write(kind, text)
}

func (f *frames) read() (kind byte, content []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[4:])
	if size > maxFrame || head[0] > frameSize {
		return 0, nil, fmt.Errorf("not a frame: kind %d, %d bytes", head[0], size)
	}
	content = make([]byte, size)
	_, err = io.ReadFull(f.r, content)
	return head[0], content, err
}

// copyAs sends what is read as frames of one kind, until its end.
func (f *frames) copyAs(kind byte, r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 && f.write(kind, buf[:n]) != nil {
			return
		}
		if err != nil {
			return
		}
	}
}
