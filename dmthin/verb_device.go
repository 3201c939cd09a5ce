package dmthin

import (
	"golang.org/x/sys/unix"
)

// Info is what the kernel tells of a device as a whole.
type Info struct {
	Name, UUID string
	Dev        Dev
	Open       int    // how many have it open: mounts, other tables, programs
	Event      uint32 // how many events its targets raised
	Targets    uint32 // lines in the live table
	Suspended  bool
	ReadOnly   bool
	Live       bool // it has a table at work
	Inactive   bool // it has a loaded table that waits for resume
}

func infoOf(h unix.DmIoctl) Info {
	return Info{
		Name: text(h.Name[:]), UUID: text(h.Uuid[:]), Dev: Dev(h.Dev),
		Open: int(h.Open_count), Event: h.Event_nr, Targets: h.Target_count,
		Suspended: h.Flags&unix.DM_SUSPEND_FLAG != 0, ReadOnly: h.Flags&unix.DM_READONLY_FLAG != 0,
		Live: h.Flags&unix.DM_ACTIVE_PRESENT_FLAG != 0, Inactive: h.Flags&unix.DM_INACTIVE_PRESENT_FLAG != 0,
	}
}

// List names all mapped devices (ioctl DM_LIST_DEVICES, with DM_UUID_FLAG for their
// UUIDs, too).
func (c *Control) List() ([]Name, error) {
	r, err := c.call("list", unix.DM_LIST_DEVICES, request{flags: unix.DM_UUID_FLAG})
	if err != nil {
		return nil, err
	}
	names, err := parseNames(r.payload)
	if err != nil {
		return nil, &Error{Verb: "list", Err: err}
	}
	return names, nil
}

// Create makes a device without a table (ioctl DM_DEV_CREATE); IO on it fails
// until a table is loaded and resumed. The kernel picks a free device number. A
// UUID, "" for none, cannot be changed and is unique, too. EBUSY if either is taken.
func (c *Control) Create(name, uuid string) (Info, error) {
	r, err := c.call("create", unix.DM_DEV_CREATE, request{name: name, uuid: uuid})
	return infoOf(r.head), err
}

// Remove takes a device away (ioctl DM_DEV_REMOVE). EBUSY while it is open, ENXIO
// if there is none of that name.
func (c *Control) Remove(name string) error {
	_, err := c.call("remove", unix.DM_DEV_REMOVE, request{name: name})
	return err
}

// RemoveLater takes it away when its last user closes it (DM_DEV_REMOVE with
// DM_DEFERRED_REMOVE).
func (c *Control) RemoveLater(name string) error {
	_, err := c.call("remove", unix.DM_DEV_REMOVE, request{name: name, flags: unix.DM_DEFERRED_REMOVE})
	return err
}

// Rename gives a device another name (ioctl DM_DEV_RENAME). Nodes are not renamed.
func (c *Control) Rename(name, to string) error {
	// The new name travels behind the header; the header names the device.
	payload := append([]byte(to), 0)
	_, err := c.call("rename", unix.DM_DEV_RENAME, request{name: name, payload: payload})
	return with(err, "to "+to)
}

// Suspend holds new IO back and waits until what is under way has ended (ioctl
// DM_DEV_SUSPEND with DM_SUSPEND_FLAG). A file system on it is frozen meanwhile, so
// that what is on disk is whole.
func (c *Control) Suspend(name string) error {
	_, err := c.call("suspend", unix.DM_DEV_SUSPEND, request{name: name, flags: unix.DM_SUSPEND_FLAG})
	return err
}

// Resume puts a loaded table to work, if there is one, and lets IO through (ioctl
// DM_DEV_SUSPEND without DM_SUSPEND_FLAG). It suspends first by itself if need be. A
// device without any table stays as it is, which is no error.
func (c *Control) Resume(name string) (Info, error) {
	r, err := c.call("resume", unix.DM_DEV_SUSPEND, request{name: name})
	return infoOf(r.head), err
}

// Info asks for a device's state (ioctl DM_DEV_STATUS). ENXIO for an unknown name.
func (c *Control) Info(name string) (Info, error) {
	r, err := c.call("info", unix.DM_DEV_STATUS, request{name: name})
	return infoOf(r.head), err
}

// InfoByUUID does the same for a UUID.
func (c *Control) InfoByUUID(uuid string) (Info, error) {
	r, err := c.call("info", unix.DM_DEV_STATUS, request{uuid: uuid})
	return infoOf(r.head), err
}
