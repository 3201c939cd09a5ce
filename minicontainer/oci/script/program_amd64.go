package script

import "unsafe"

// Available says that the program exists for this processor.
const Available = true

// machine is EM_X86_64 of elf(5).
const machine = 62

// bounds are the addresses between which the program lies in this one.
func bounds() (start, end uintptr)

// program is the machine code of perform_amd64.s.
func program() []byte {
	start, end := bounds()
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&start)), end-start)
}
