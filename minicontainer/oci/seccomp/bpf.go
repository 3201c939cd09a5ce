package seccomp

import (
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// code is a piece of program. Jumps only go forward, over whole pieces, so a
// piece can be written before it is known where it will stand.
type code []unix.SockFilter

// Offsets into struct seccomp_data (linux/seccomp.h).
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
)

// load puts a 32-bit word of seccomp_data into the accumulator.
func (c *code) load(offset uint32) {
	*c = append(*c, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

// ret ends the program.
func (c *code) ret(value uint32) {
	*c = append(*c, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value})
}

// and masks the accumulator.
func (c *code) and(mask uint32) {
	*c = append(*c, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
}

// jump compares the accumulator with k and skips yes or no instructions.
func (c *code) jump(op uint16, k uint32, yes, no int) {
	*c = append(*c, unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, K: k, Jt: uint8(yes), Jf: uint8(no)})
}

// ifEqual runs the piece when the accumulator is k, and jumps over it otherwise.
func (c *code) ifEqual(k uint32, piece code) { c.branch(unix.BPF_JEQ, k, piece) }

// ifAtLeast runs the piece when the accumulator is k or more.
func (c *code) ifAtLeast(k uint32, piece code) { c.branch(unix.BPF_JGE, k, piece) }

// branch uses a short jump where 8 bits reach, else a long one behind it.
func (c *code) branch(op uint16, k uint32, piece code) {
	if len(piece) <= 255 {
		c.jump(op, k, 0, len(piece))
	} else {
		c.jump(op, k, 1, 0)
		*c = append(*c, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(piece))})
	}
	*c = append(*c, piece...)
}

// code of a rule: each condition falls through when it holds and jumps behind
// the rule when not; the return comes last.
func (r rule) code() code {
	var pieces []code
	for _, a := range r.conditions {
		pieces = append(pieces, comparisons()[a.Op](a))
	}
	var out code
	out.ret(r.action)
	for i := len(pieces) - 1; i >= 0; i-- {
		out = append(patch(pieces[i], len(out)), out...)
	}
	return out
}

// fail marks a jump target that patch fills in: the end of the rule.
const fail = 255

// patch replaces the marks in a condition by the distance to the end of the
// rule: the rest of the condition and what follows it.
func patch(piece code, after int) code {
	for i := range piece {
		if piece[i].Code&7 != unix.BPF_JMP {
			continue
		}
		rest := uint8(len(piece) - 1 - i + after)
		if piece[i].Jt == fail {
			piece[i].Jt = rest
		}
		if piece[i].Jf == fail {
			piece[i].Jf = rest
		}
	}
	return piece
}

// comparisons write a condition on a 64-bit argument as two of 32 bits each.
var comparisons = sync.OnceValue(func() map[specs.LinuxSeccompOperator]func(specs.LinuxSeccompArg) code {
	return map[specs.LinuxSeccompOperator]func(specs.LinuxSeccompArg) code{
		specs.OpEqualTo:      func(a specs.LinuxSeccompArg) code { return equal(a, ^uint64(0), a.Value) },
		specs.OpMaskedEqual:  func(a specs.LinuxSeccompArg) code { return equal(a, a.Value, a.ValueTwo) },
		specs.OpNotEqual:     notEqual,
		specs.OpGreaterThan:  func(a specs.LinuxSeccompArg) code { return ordered(a, unix.BPF_JGT, true) },
		specs.OpGreaterEqual: func(a specs.LinuxSeccompArg) code { return ordered(a, unix.BPF_JGE, true) },
		specs.OpLessThan:     func(a specs.LinuxSeccompArg) code { return ordered(a, unix.BPF_JGE, false) },
		specs.OpLessEqual:    func(a specs.LinuxSeccompArg) code { return ordered(a, unix.BPF_JGT, false) },
	}
})

func low(a specs.LinuxSeccompArg) uint32  { return offsetArgs + 8*uint32(a.Index) }
func high(a specs.LinuxSeccompArg) uint32 { return low(a) + 4 } // little-endian, as all of family is

// equal holds when (arg & mask) == want.
func equal(a specs.LinuxSeccompArg, mask, want uint64) code {
	var c code
	c.load(high(a))
	c.and(uint32(mask >> 32))
	c.jump(unix.BPF_JEQ, uint32(want>>32), 0, fail)
	c.load(low(a))
	c.and(uint32(mask))
	c.jump(unix.BPF_JEQ, uint32(want), 0, fail)
	return c
}

// notEqual holds as soon as one half differs.
func notEqual(a specs.LinuxSeccompArg) code {
	var c code
	c.load(high(a))
	c.jump(unix.BPF_JEQ, uint32(a.Value>>32), 0, 2) // differs: jump to the end of the condition
	c.load(low(a))
	c.jump(unix.BPF_JEQ, uint32(a.Value), fail, 0)
	return c
}

// ordered compares the high halves, and the low ones where the high are equal.
// With want false it holds when the comparison does not.
func ordered(a specs.LinuxSeccompArg, op uint16, want bool) code {
	yes, no := 0, fail
	if !want {
		yes, no = fail, 0
	}
	above, below := 3, fail // from the second instruction to the end of the condition
	if !want {
		above, below = fail, 3
	}
	var c code
	c.load(high(a))
	c.jump(unix.BPF_JGT, uint32(a.Value>>32), above, 0)
	c.jump(unix.BPF_JEQ, uint32(a.Value>>32), 0, adjust(below))
	c.load(low(a))
	c.jump(op, uint32(a.Value), yes, no)
	return c
}

// adjust: the third instruction is one nearer to the end than the second.
func adjust(distance int) int {
	if distance == fail {
		return fail
	}
	return distance - 1
}
