package present

import (
	"io"
	"os"

	"golang.org/x/term"
)

// keyboard reads a terminal for the whole walk. One reader serves questions
// and shells alike: two would steal each other's keys.
type keyboard struct {
	in    *os.File
	bytes chan []byte
}

func newKeyboard(in *os.File) *keyboard {
	k := &keyboard{in: in, bytes: make(chan []byte)}
	go k.read()
	return k
}

func (k *keyboard) read() {
	defer close(k.bytes)
	for {
		buf := make([]byte, 256)
		n, err := k.in.Read(buf)
		if n > 0 {
			k.bytes <- buf[:n]
		}
		if err != nil {
			return
		}
	}
}

// raw turns off line editing and echo, and returns what turns them on again.
func (k *keyboard) raw() (restore func()) {
	state, err := term.MakeRaw(int(k.in.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { term.Restore(int(k.in.Fd()), state) }
}

// key waits for one key. io.EOF means that the terminal is gone.
func (k *keyboard) key() (byte, error) {
	defer k.raw()()
	b, ok := <-k.bytes
	if !ok || len(b) == 0 {
		return 0, io.EOF
	}
	return b[0], nil
}

// size of the terminal in rows and columns.
func (k *keyboard) size() (rows, cols uint16) {
	w, h, err := term.GetSize(int(k.in.Fd()))
	if err != nil {
		return 24, 80
	}
	return uint16(h), uint16(w)
}
