package dmthin

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Dev is a device number, as in stat(2)'s st_rdev.
type Dev uint64

// String is "253:0", which table lines take in place of a path.
func (d Dev) String() string {
	return strconv.Itoa(int(unix.Major(uint64(d)))) + ":" + strconv.Itoa(int(unix.Minor(uint64(d))))
}

// ParseDev reads "253:0".
func ParseDev(s string) (Dev, error) {
	major, minor, _ := strings.Cut(s, ":")
	w := words{rest: []string{major, minor}}
	a, b := w.number(12), w.number(20)
	if w.err != nil {
		return 0, fmt.Errorf("device number %q: want MAJOR:MINOR: %w", s, w.err)
	}
	return Dev(unix.Mkdev(uint32(a), uint32(b))), nil
}

// Name is one entry of List.
type Name struct {
	Name  string
	UUID  string // "" if it has none, or before Linux 5.13
	Dev   Dev
	Event uint32
}

const (
	nameHeader    = 12 // struct dm_name_list: u64 dev, u32 next
	versionHeader = 16 // struct dm_target_versions: u32 next, u32 version[3]
)

// parseNames reads the payload of DM_LIST_DEVICES. A list of nothing is no bytes at
// all, or a device number 0.
func parseNames(payload []byte) ([]Name, error) {
	if len(payload) == 0 || len(payload) >= 8 && order.Uint64(payload) == 0 {
		return nil, nil
	}
	var names []Name
	err := walk(payload, nameHeader, false, func(b []byte) uint32 { return order.Uint32(b[8:]) }, func(b []byte) error {
		n := Name{Dev: Dev(order.Uint64(b)), Name: text(b[nameHeader:])}
		if n.Name == "" {
			return fmt.Errorf("device %s has no name", n.Dev)
		}
		n.Event, n.UUID = afterName(b[min(aligned(nameHeader+len(n.Name)+1), len(b)):])
		names = append(names, n)
		return nil
	})
	return names, err
}

// afterName reads what newer kernels put behind the name: the event number, and
// then flags that say whether a UUID follows.
func afterName(b []byte) (event uint32, uuid string) {
	if len(b) < 8 {
		return 0, ""
	}
	if order.Uint32(b[4:]) == unix.DM_NAME_LIST_FLAG_HAS_UUID {
		uuid = text(b[8:])
	}
	return order.Uint32(b), uuid
}

// TargetVersion is one target driver of this kernel.
type TargetVersion struct {
	Target  string
	Version Version
}

// parseVersions reads the payload of DM_LIST_VERSIONS and DM_GET_TARGET_VERSION.
func parseVersions(payload []byte) ([]TargetVersion, error) {
	var list []TargetVersion
	err := walk(payload, versionHeader, false, order.Uint32, func(b []byte) error {
		v := TargetVersion{text(b[versionHeader:]), Version{order.Uint32(b[4:]), order.Uint32(b[8:]), order.Uint32(b[12:])}}
		list = append(list, v)
		return nil
	})
	return list, err
}

// parseDeps reads the payload of DM_TABLE_DEPS: u32 count, u32 padding, u64 each.
func parseDeps(payload []byte) ([]Dev, error) {
	if len(payload) < 8 {
		return nil, fmt.Errorf("%d bytes are no list of devices", len(payload))
	}
	count := uint64(order.Uint32(payload))
	if count*8 > uint64(len(payload)-8) {
		return nil, fmt.Errorf("%d devices do not fit %d bytes", count, len(payload))
	}
	devs := make([]Dev, count)
	for i := range devs {
		devs[i] = Dev(order.Uint64(payload[8+8*i:]))
	}
	return devs, nil
}
