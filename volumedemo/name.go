package volumedemo

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"sync"
)

// A name becomes a folder's: no slash, and no dot at the start.
var legalName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

// CheckName tells what is wrong with a volume's name, as Docker words it.
func CheckName(name string) error {
	switch {
	case len(name) < 2:
		return invalid("volume name is too short, names should be at least two alphanumeric characters")
	case len(name) > 255:
		return invalid("volume name has %d characters, and a folder's name at most 255", len(name))
	case !legalName().MatchString(name):
		return invalid("%q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", name)
	}
	return nil
}

// newName is what an anonymous volume is called: 64 random digits.
func newName() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	return hex.EncodeToString(b[:])
}
