// Package randomid makes the names that nobody has chosen. It needs next to no
// other package, so that package minicontainer/launch can use it while most of the
// program is not initialised yet.
package randomid

import (
	"encoding/hex"

	"golang.org/x/sys/unix"
)

// New returns 64 hexadecimal digits of randomness, the shape of Docker's cache ids
// and container ids. It asks the kernel (getrandom(2)), which always has an answer
// for so few bytes once the machine is up.
func New() string {
	var b [32]byte
	if _, err := unix.Getrandom(b[:], 0); err != nil {
		panic("getrandom: " + err.Error())
	}
	return hex.EncodeToString(b[:])
}
