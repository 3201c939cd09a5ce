package cgroupdemo

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Version 2 has no device files. The kernel runs a small BPF program at each
// open(2) and mknod(2) of a device node by a process of the group. It gets the
// address of a struct bpf_cgroup_dev_ctx (linux/bpf.h) in r1:
//
//	offset 0  u32  access_type: low half what (1 block, 2 char),
//	                            high half how (1 mknod, 2 read, 4 write)
//	offset 4  u32  major
//	offset 8  u32  minor
//
// and answers in r0: 1 yes, 0 EPERM. Our programs use five registers:
//
//	r2 type   r3 access   r4 major   r5 minor   r1 scratch

// Instruction is one 8-byte BPF instruction (bpf(2), kernel Documentation/bpf/
// standardization/instruction-set.rst).
type Instruction struct {
	Op       uint8
	Dst, Src uint8
	Off      int16
	Imm      int32
}

// The few opcodes that are needed: class | source | operation.
const (
	opLoad32  = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W   // dst = *(u32 *)(src + off)
	opMove    = unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X   // dst = src, 32 bit
	opMoveImm = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K // dst = imm
	opAndImm  = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K   // dst &= imm, 32 bit
	opShrImm  = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K   // dst >>= imm, 32 bit
	opJumpNE  = unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K   // if dst != imm skip off instructions
	opJumpEQ  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K   // if dst == imm skip off instructions
	opExit    = unix.BPF_JMP | unix.BPF_EXIT               // return r0
)

const (
	r0 = iota
	r1
	regType
	regAccess
	regMajor
	regMinor
)

// Program assembles the table. One block per exception; a block that does not
// match falls through to the next, and at the end the default is the answer.
func (t DeviceTable) Program() []Instruction {
	prog := []Instruction{
		{Op: opLoad32, Dst: regAccess, Src: r1, Off: 0},
		{Op: opMove, Dst: regType, Src: regAccess},
		{Op: opAndImm, Dst: regType, Imm: 0xffff},
		{Op: opShrImm, Dst: regAccess, Imm: 16},
		{Op: opLoad32, Dst: regMajor, Src: r1, Off: 4},
		{Op: opLoad32, Dst: regMinor, Src: r1, Off: 8},
	}
	for _, e := range t.Except {
		prog = append(prog, e.block(t.DefaultAllow)...)
	}
	return append(prog, answer(t.DefaultAllow)...)
}

// block tests one exception. The tests jump to the block's end when they fail,
// so their offsets are known only once the block is complete.
func (e DeviceException) block(defaultAllow bool) []Instruction {
	kind := int32(unix.BPF_DEVCG_DEV_CHAR)
	if e.Type == 'b' {
		kind = unix.BPF_DEVCG_DEV_BLOCK
	}
	tests := []Instruction{{Op: opJumpNE, Dst: regType, Imm: kind}}
	if e.Major >= 0 {
		tests = append(tests, Instruction{Op: opJumpNE, Dst: regMajor, Imm: int32(e.Major)})
	}
	if e.Minor >= 0 {
		tests = append(tests, Instruction{Op: opJumpNE, Dst: regMinor, Imm: int32(e.Minor)})
	}
	// What is asked for and granted leaves nothing over: yes. What is asked
	// for and forbidden has something in common: no.
	mask, test := ^accessBits(e.Access)&0x7, uint8(opJumpNE)
	if defaultAllow {
		mask, test = accessBits(e.Access), opJumpEQ
	}
	tests = append(tests,
		Instruction{Op: opMove, Dst: r1, Src: regAccess},
		Instruction{Op: opAndImm, Dst: r1, Imm: mask},
		Instruction{Op: test, Dst: r1, Imm: 0})
	block := append(tests, answer(!defaultAllow)...)
	for i := range tests {
		if op := block[i].Op; op == opJumpNE || op == opJumpEQ {
			block[i].Off = int16(len(block) - i - 1)
		}
	}
	return block
}

func answer(allow bool) []Instruction {
	var v int32
	if allow {
		v = 1
	}
	return []Instruction{{Op: opMoveImm, Dst: r0, Imm: v}, {Op: opExit}}
}

func accessBits(access string) int32 {
	var bits int32
	for letter, bit := range map[string]int32{"m": unix.BPF_DEVCG_ACC_MKNOD, "r": unix.BPF_DEVCG_ACC_READ, "w": unix.BPF_DEVCG_ACC_WRITE} {
		if strings.Contains(access, letter) {
			bits |= bit
		}
	}
	return bits
}

// Encode lays the instructions out as the kernel wants them: opcode, the two
// registers in one byte, offset, immediate, in the machine's byte order.
func Encode(prog []Instruction) []byte {
	buf := make([]byte, 0, 8*len(prog))
	for _, in := range prog {
		regs := in.Src<<4 | in.Dst
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 { // big endian machines hold dst in the high half
			regs = in.Dst<<4 | in.Src
		}
		buf = append(buf, in.Op, regs)
		buf = binary.NativeEndian.AppendUint16(buf, uint16(in.Off))
		buf = binary.NativeEndian.AppendUint32(buf, uint32(in.Imm))
	}
	return buf
}

// String writes an instruction in words, as a disassembler would.
func (in Instruction) String() string {
	switch in.Op {
	case opLoad32:
		return fmt.Sprintf("w%d = *(u32 *)(r%d + %d)", in.Dst, in.Src, in.Off)
	case opMove:
		return fmt.Sprintf("w%d = w%d", in.Dst, in.Src)
	case opMoveImm:
		return fmt.Sprintf("r%d = %d", in.Dst, in.Imm)
	case opAndImm:
		return fmt.Sprintf("w%d &= %#x", in.Dst, in.Imm)
	case opShrImm:
		return fmt.Sprintf("w%d >>= %d", in.Dst, in.Imm)
	case opJumpNE:
		return fmt.Sprintf("if r%d != %d goto +%d", in.Dst, in.Imm, in.Off)
	case opJumpEQ:
		return fmt.Sprintf("if r%d == %d goto +%d", in.Dst, in.Imm, in.Off)
	}
	return "exit"
}
