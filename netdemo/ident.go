package netdemo

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"regexp"
	"sync"
)

// newID gives an object the 64 hexadecimal digits that Docker's objects have.
func newID() string {
	b := make([]byte, 32)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// randomMAC is locally administered and not a group address.
func randomMAC() net.HardwareAddr {
	b := make([]byte, 6)
	rand.Read(b)
	b[0] = b[0]&^1 | 2
	return b
}

// A name becomes a file name and a DNS label, so both rules hold; "." would make "..".
var nameRule = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

func validName(s string) bool { return nameRule().MatchString(s) && len(s) <= 63 }
