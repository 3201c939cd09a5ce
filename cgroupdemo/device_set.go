package cgroupdemo

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// setDeviceProgram makes the table the group's only one: the new program is
// attached first and the older ones are taken off after, so that there is no
// moment without rules (while both are there, both have to say yes).
func setDeviceProgram(dir string, table *DeviceTable) error {
	group, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer group.Close()
	older, err := DevicePrograms(group)
	if err != nil {
		return err
	}
	prog, err := LoadDeviceProgram(table.Program())
	if err != nil {
		return err
	}
	defer prog.Close() // the group holds it from now on
	if err := AttachDeviceProgram(group, prog); err != nil {
		return err
	}
	return detachAll(group, older)
}

// ClearDevices takes all device rules off the group: every BPF program on
// version 2, "a" written to devices.allow on version 1.
func (g *Group) ClearDevices() error {
	p, err := g.Place(Devices)
	if err != nil {
		return err
	}
	if p.Version == V1 {
		return writeFile(p.Dir+"/devices.allow", "a")
	}
	group, err := os.Open(p.Dir)
	if err != nil {
		return err
	}
	defer group.Close()
	ids, err := DevicePrograms(group)
	if err != nil {
		return err
	}
	return detachAll(group, ids)
}

func detachAll(group *os.File, ids []uint32) error {
	var errs []error
	for _, id := range ids {
		prog, err := openDeviceProgram(id)
		if errors.Is(err, unix.ENOENT) {
			continue // somebody detached it in the meantime
		}
		if err == nil {
			err = errors.Join(DetachDeviceProgram(group, prog), prog.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// DeviceRules tells what holds in the group: the lines of devices.list on
// version 1; on version 2, where programs cannot be read back as rules, one
// line per attached program with its id.
func (g *Group) DeviceRules() Reading[string] {
	p, err := g.Place(Devices)
	if err != nil {
		return Reading[string]{Err: err}
	}
	if p.Version == V1 {
		return ReadText(p.Dir, "devices.list")
	}
	out := Reading[string]{Path: "bpf(BPF_PROG_QUERY, BPF_CGROUP_DEVICE) of " + p.Dir}
	group, err := os.Open(p.Dir)
	if err != nil {
		out.Err = err
		return out
	}
	defer group.Close()
	ids, err := DevicePrograms(group)
	out.Err = err
	for _, id := range ids {
		out.Value += fmt.Sprintf("program %d\n", id)
	}
	return out
}
