package seccomp

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// instruction is the size of struct sock_filter (linux/filter.h).
const instruction = 8

// Encode writes the filter down for another process: flags and the notify mark
// in five bytes, then the instructions. A nil filter is no bytes.
func (f *Filter) Encode() []byte {
	if f == nil {
		return nil
	}
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, 5), uint32(f.Flags))
	notify := byte(0)
	if f.Notify {
		notify = 1
	}
	return append(append(out, notify), instructions(f.Program)...)
}

// instructions are as they lie in memory.
func instructions(program []unix.SockFilter) []byte {
	out := make([]byte, 0, instruction*len(program))
	for _, in := range program {
		out = binary.LittleEndian.AppendUint16(out, in.Code)
		out = binary.LittleEndian.AppendUint32(append(out, in.Jt, in.Jf), in.K)
	}
	return out
}

// Decode is the way back.
func Decode(text []byte) (*Filter, error) {
	if len(text) == 0 {
		return nil, nil
	}
	if len(text) < 5+instruction || (len(text)-5)%instruction != 0 {
		return nil, fmt.Errorf("seccomp: a filter of %d bytes", len(text))
	}
	f := &Filter{Flags: uint(binary.LittleEndian.Uint32(text)), Notify: text[4] == 1}
	for rest := text[5:]; len(rest) > 0; rest = rest[instruction:] {
		f.Program = append(f.Program, unix.SockFilter{Code: binary.LittleEndian.Uint16(rest), Jt: rest[2], Jf: rest[3],
			K: binary.LittleEndian.Uint32(rest[4:])})
	}
	return f, nil
}
