package script

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory is what the process that performs scripts shares with who writes them.
type Memory struct {
	File *os.File // passed to the process under its own number
}

// NewMemory makes it, empty (memfd_create(2)).
func NewMemory() (*Memory, error) {
	fd, err := unix.MemfdCreate("cutaway-script", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return &Memory{os.NewFile(uintptr(fd), "memfd:cutaway-script")}, nil
}

// Part is where one of the two scripts lies that a process can be given.
type Part int64

const (
	First  Part = 0        // performed at once; below 64 KiB
	Second Part = 64 << 10 // performed when the first one jumps there; may be long
)

// Address is what to jump to.
func (p Part) Address() uint64 { return listAddress + uint64(p) }

// Write puts a script there.
func (m *Memory) Write(p Part, s *Script) error {
	text := s.encode(p.Address())
	if room := [2]int{int(Second), listRoom - int(Second)}[min(p, 1)]; len(text) > room {
		return fmt.Errorf("the init stage's script has %d bytes, and there is room for %d: %w", len(text), room, unix.E2BIG)
	}
	if _, err := m.File.WriteAt(text, int64(p)); err != nil {
		return fmt.Errorf("write the init stage's script: %w", err)
	}
	return nil
}

// Result reads what a call of that script returned.
func (m *Memory) Result(p Part, c *Call) (int, error) {
	var word [8]byte
	if _, err := m.File.ReadAt(word[:], int64(p)+int64(c.resultAddress(0))); err != nil {
		return 0, fmt.Errorf("read the result of %s: %w", c.name, err)
	}
	return int(binary.LittleEndian.Uint64(word[:])), nil
}
