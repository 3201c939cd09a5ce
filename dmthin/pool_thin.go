package dmthin

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxThinID bounds a pool's ids: 24 bits.
const maxThinID = 1<<24 - 1

// message sends text to the pool.
func (p *Pool) message(format string, args ...any) error {
	_, err := p.control.Message(p.name, 0, fmt.Sprintf(format, args...))
	return err
}

// CreateThin makes an empty thin device (message create_thin). It has no size yet:
// that is its table's. EEXIST if the id is in use.
func (p *Pool) CreateThin(id uint32) error { return p.message("create_thin %d", id) }

// CreateSnap makes a thin device that shares all blocks of another (message
// create_snap). EEXIST if the id is in use, ENODATA if there is no such origin.
//
// An origin that is active is suspended meanwhile: its writes under way end first,
// and a file system on it is frozen, so that the snapshot is of one moment. Without
// that, thin-provisioning.rst says, the snapshot is damaged.
func (p *Pool) CreateSnap(id, origin uint32) (err error) {
	info, err := p.control.InfoByUUID(thinUUID(p.name, origin))
	switch {
	case errors.Is(err, unix.ENXIO): // not active: no writes
	case err != nil:
		return err
	case !info.Suspended:
		if err := p.control.Suspend(info.Name); err != nil {
			return err
		}
		// Whatever happens: a device that stays suspended hangs all who use it.
		defer func() {
			_, resumed := p.control.Resume(info.Name)
			err = errors.Join(err, resumed)
		}()
	}
	return p.message("create_snap %d %d", id, origin)
}

// Delete gives a thin device's own blocks back (message delete); those that others
// share stay. ENODATA for an unknown id, EBUSY while it is active.
func (p *Pool) Delete(id uint32) error { return p.message("delete %d", id) }

// SetTransaction changes the number that the pool keeps for user space, if it is
// still the old one (message set_transaction_id), else EINVAL. It is how a program
// finds out after a crash how far it had come.
func (p *Pool) SetTransaction(old, to uint64) error {
	return p.message("set_transaction_id %d %d", old, to)
}

// Activate gives a thin device a name, a size in bytes and a node, and returns the
// node's path. ENODATA for an unknown id, EBUSY if it is active already or the
// name is taken. What a killed process left under the same name and id, and nobody
// has open, is replaced: it may have no table yet, or be suspended.
func (p *Pool) Activate(name string, id uint32, size uint64) (node string, err error) {
	if size == 0 || size%SectorSize != 0 || id > maxThinID {
		return "", fmt.Errorf("activate thin device %d with %d bytes: want whole sectors and an id of 24 bits: %w", id, size, unix.EINVAL)
	}
	info, err := p.control.Info(p.name)
	if err != nil {
		return "", err
	}
	old, err := p.control.InfoByUUID(thinUUID(p.name, id))
	if err == nil && old.Name == name && old.Open == 0 {
		if err := p.control.Stop(name); err != nil {
			return "", err
		}
	}
	thin := Thin{Pool: info.Dev.String(), ID: id}
	if _, err := p.control.Start(name, thinUUID(p.name, id), One(size/SectorSize, thin), false); err != nil {
		return "", err
	}
	return p.control.Node(name), nil
}

// Deactivate takes name and node away; the content stays in the pool. ENXIO for an
// unknown name, EBUSY while it is mounted or open.
func (p *Pool) Deactivate(name string) error { return p.control.Stop(name) }

// ThinStatus is the kernel's view of an active thin device.
func (p *Pool) ThinStatus(name string) (ThinStatus, error) {
	t, err := p.control.Status(name)
	if err != nil {
		return ThinStatus{}, err
	}
	if len(t) != 1 || t[0].Target != "thin" {
		return ThinStatus{}, &Error{Verb: "status", Device: name, Detail: t.String(), Err: unix.EINVAL}
	}
	return ParseThinStatus(t[0].Params)
}
