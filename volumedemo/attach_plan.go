package volumedemo

import (
	"fmt"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// attachment is what the options of a mount mean to the new mount calls, which
// keep apart what mount(2) has in one word of flags.
type attachment struct {
	bind, recursive bool
	set             uint64 // MOUNT_ATTR_* of this mount
	setBelow        uint64 // and of all that is mounted below it
	propagation     uint64 // MS_*
	propagateBelow  bool
	data            [][2]string // the file system's own: size=64k
}

var attachAttrs = sync.OnceValue(func() map[string]uint64 {
	return map[string]uint64{
		"ro": unix.MOUNT_ATTR_RDONLY, "nosuid": unix.MOUNT_ATTR_NOSUID, "nodev": unix.MOUNT_ATTR_NODEV,
		"noexec": unix.MOUNT_ATTR_NOEXEC, "noatime": unix.MOUNT_ATTR_NOATIME,
	}
})

// attachClears are words that take back an earlier one.
var attachClears = sync.OnceValue(func() map[string]uint64 {
	return map[string]uint64{
		"rw": unix.MOUNT_ATTR_RDONLY, "suid": unix.MOUNT_ATTR_NOSUID, "dev": unix.MOUNT_ATTR_NODEV, "exec": unix.MOUNT_ATTR_NOEXEC,
	}
})

var attachPropagations = sync.OnceValue(func() map[string]uint64 {
	return map[string]uint64{"private": unix.MS_PRIVATE, "slave": unix.MS_SLAVE, "shared": unix.MS_SHARED}
})

// planAttach reads the options of a mount, as Point.Mount writes them.
func planAttach(m specs.Mount) (attachment, error) {
	a := attachment{bind: m.Type == "bind"}
	for _, o := range m.Options {
		key, value, hasValue := strings.Cut(o, "=")
		switch {
		case o == "bind":
			a.bind = true
		case o == "rbind":
			a.bind, a.recursive = true, true
		case o == "rro":
			a.setBelow |= unix.MOUNT_ATTR_RDONLY
		case attachAttrs()[o] != 0:
			a.set |= attachAttrs()[o]
		case attachClears()[o] != 0:
			a.set &^= attachClears()[o]
		case attachPropagations()[strings.TrimPrefix(o, "r")] != 0:
			a.propagation, a.propagateBelow = attachPropagations()[strings.TrimPrefix(o, "r")], o[0] == 'r'
		case hasValue && !a.bind:
			a.data = append(a.data, [2]string{key, value})
		default:
			return a, fmt.Errorf("mount on %s: option %q is not known: %w", m.Destination, o, unix.EINVAL)
		}
	}
	return a, nil
}
