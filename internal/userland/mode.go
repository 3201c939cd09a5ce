package userland

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// parseMode reads chmod's first operand: octal digits, or changes such as u+x,
// go-w, a=r. It gives the mode after the change.
func parseMode(text string, now fs.FileMode) (fs.FileMode, error) {
	if n, err := strconv.ParseUint(text, 8, 12); err == nil {
		return fromBits(uint32(n)), nil
	}
	bits := toBits(now)
	for change := range strings.SplitSeq(text, ",") {
		at := strings.IndexAny(change, "+-=")
		if at < 0 {
			return 0, fmt.Errorf("mode %q: want octal digits, or [ugoa][+-=][rwxst]", text)
		}
		whom, what, err := masks(change[:at], change[at+1:])
		if err != nil {
			return 0, fmt.Errorf("mode %q: %w", text, err)
		}
		switch change[at] {
		case '+':
			bits |= what
		case '-':
			bits &^= what
		case '=':
			bits = bits&^whom | what
		}
	}
	return fromBits(bits), nil
}

// masks are all bits of those named (u, g, o, a), and the bits that are meant.
func masks(who, perms string) (whom, what uint32, err error) {
	if who == "" {
		who = "a"
	}
	var every uint32 // r, w and x of all, of which whom chooses
	for _, p := range perms {
		switch p {
		case 'r':
			every |= 0o444
		case 'w':
			every |= 0o222
		case 'x':
			every |= 0o111
		case 's':
			every |= 0o6000
		case 't':
			every |= 0o1000
		default:
			return 0, 0, fmt.Errorf("%q is none of r, w, x, s, t", p)
		}
	}
	for _, w := range who {
		switch w {
		case 'u':
			whom |= 0o4700
		case 'g':
			whom |= 0o2070
		case 'o':
			whom |= 0o1007
		case 'a':
			whom |= 0o7777
		default:
			return 0, 0, fmt.Errorf("%q is none of u, g, o, a", w)
		}
	}
	return whom, every & whom, nil
}

// special are the bits above the nine, in the kernel's numbers and in Go's.
var special = [...]struct {
	bit  uint32
	mode fs.FileMode
}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}}

func toBits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, s := range special {
		if m&s.mode != 0 {
			bits |= s.bit
		}
	}
	return bits
}

func fromBits(bits uint32) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	for _, s := range special {
		if bits&s.bit != 0 {
			m |= s.mode
		}
	}
	return m
}
