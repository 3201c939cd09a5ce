package dmthin

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Load puts a table into the device's inactive slot (ioctl DM_TABLE_LOAD). The
// targets are built now, and open the devices that they name; nothing changes for
// users of the device before Resume.
func (c *Control) Load(name string, t Table, readOnly bool) error {
	if err := t.Validate(); err != nil {
		return &Error{Verb: "load", Device: name, Detail: t.String(), Err: err}
	}
	payload, err := encodeTable(t)
	if err != nil {
		return &Error{Verb: "load", Device: name, Detail: t.String(), Err: err}
	}
	q := request{name: name, targets: uint32(len(t)), payload: payload}
	if readOnly {
		q.flags = unix.DM_READONLY_FLAG
	}
	_, err = c.call("load", unix.DM_TABLE_LOAD, q)
	return with(err, t.String())
}

// Clear empties the inactive slot (ioctl DM_TABLE_CLEAR).
func (c *Control) Clear(name string) error {
	_, err := c.call("clear", unix.DM_TABLE_CLEAR, request{name: name})
	return err
}

// Table reads the live table back (ioctl DM_TABLE_STATUS with
// DM_STATUS_TABLE_FLAG), with device numbers where paths were loaded.
func (c *Control) Table(name string) (Table, error) {
	return c.lines("table", name, unix.DM_STATUS_TABLE_FLAG)
}

// Status asks each target how it is (ioctl DM_TABLE_STATUS). Params of the lines
// is the status text: see ParsePoolStatus and its like. A pool commits its
// metadata first, so that the numbers are those on disk.
func (c *Control) Status(name string) (Table, error) { return c.lines("status", name, 0) }

func (c *Control) lines(verb, name string, flags uint32) (Table, error) {
	r, err := c.call(verb, unix.DM_TABLE_STATUS, request{name: name, flags: flags})
	if err != nil {
		return nil, err
	}
	t, err := parseTable(r.payload, r.head.Target_count)
	if err != nil {
		return nil, &Error{Verb: verb, Device: name, Err: err}
	}
	return t, nil
}

// Deps lists the devices that the live table stands on (ioctl DM_TABLE_DEPS).
func (c *Control) Deps(name string) ([]Dev, error) {
	r, err := c.call("deps", unix.DM_TABLE_DEPS, request{name: name})
	if err != nil {
		return nil, err
	}
	devs, err := parseDeps(r.payload)
	if err != nil {
		return nil, &Error{Verb: "deps", Device: name, Err: err}
	}
	return devs, nil
}

// Message sends text to the target that holds a sector, and returns its answer,
// mostly none (ioctl DM_TARGET_MSG).
func (c *Control) Message(name string, sector uint64, message string) (string, error) {
	payload := make([]byte, 8, 8+len(message)+1)
	order.PutUint64(payload, sector)
	payload = append(append(payload, message...), 0)
	r, err := c.call("message", unix.DM_TARGET_MSG, request{name: name, payload: payload})
	if err != nil {
		return "", with(err, message)
	}
	if r.head.Flags&unix.DM_DATA_OUT_FLAG == 0 {
		return "", nil
	}
	return text(r.payload), nil
}

// Targets lists the target drivers that are loaded (ioctl DM_LIST_VERSIONS).
func (c *Control) Targets() ([]TargetVersion, error) {
	r, err := c.call("targets", unix.DM_LIST_VERSIONS, request{})
	if err != nil {
		return nil, err
	}
	list, err := parseVersions(r.payload)
	if err != nil {
		return nil, &Error{Verb: "targets", Err: err}
	}
	return list, nil
}

// Target asks for one target driver's version, and loads its module if need be
// (ioctl DM_GET_TARGET_VERSION, Linux 5.3). EINVAL if this kernel has none.
func (c *Control) Target(target string) (Version, error) {
	r, err := c.call("target", unix.DM_GET_TARGET_VERSION, request{name: target})
	if err != nil {
		return Version{}, err
	}
	list, err := parseVersions(r.payload)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d versions for one target", len(list))
	}
	if err != nil {
		return Version{}, &Error{Verb: "target", Device: target, Err: err}
	}
	return list[0].Version, nil
}
