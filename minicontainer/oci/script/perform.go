package script

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Perform makes the calls in this process, on this thread: where the process is
// a Go program anyway, or when only the thread is meant. It returns nil at the
// end of the list, the error of a call that failed, and not at all after execve.
func (s *Script) Perform() error {
	room := len(s.encode(0))
	memory, err := unix.Mmap(-1, 0, room, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap %d bytes: %w", room, err)
	}
	defer unix.Munmap(memory)
	copy(memory, s.encode(uint64(uintptr(unsafe.Pointer(&memory[0])))))
	for i, c := range s.calls {
		if c.act != nil {
			if err := c.act(); err != nil {
				return err
			}
			continue
		}
		if errno, ok := perform((*[words]uint64)(unsafe.Pointer(&memory[i*callSize]))); !ok {
			return s.Error(i, errno)
		}
	}
	return nil
}

// perform is the assembler's program for one call.
func perform(c *[words]uint64) (errno unix.Errno, ok bool) {
	if at := c[wordUnless]; at != 0 && int64(*word(at)) >= 0 {
		return 0, true
	}
	var args [6]uintptr
	for i := range args {
		v := c[wordArgs+i]
		if c[wordLoad]&(1<<i) != 0 {
			v = *word(v)
		}
		args[i] = uintptr(v)
	}
	r, _, errno := unix.RawSyscall6(uintptr(c[wordNumber]), args[0], args[1], args[2], args[3], args[4], args[5])
	c[wordResult] = uint64(r)
	if errno == 0 {
		return 0, r != 0 || c[wordNoEnd] == 0
	}
	c[wordResult] = -uint64(errno)
	return errno, errno == unix.Errno(c[wordAllow]) || errno == unix.Errno(c[wordAllow+1])
}

// word is what lies at an address of the script's own memory, which Go does not move.
func word(address uint64) *uint64 {
	return *(**uint64)(unsafe.Pointer(&address))
}

// Failure reads the frame that the program sends when a call fails: four bytes
// of length, which the receiver has taken off, then these.
func Failure(payload []byte) (index int, errno unix.Errno, ok bool) {
	if len(payload) != 12 || payload[0] != 0 {
		return 0, 0, false
	}
	return int(binary.LittleEndian.Uint32(payload) >> 8), unix.Errno(-int64(binary.LittleEndian.Uint64(payload[4:]))), true
}
