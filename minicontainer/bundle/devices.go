package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
)

// errNoDevice is about files that are neither a block nor a character device.
var errNoDevice = errors.New("not a device node")

// device reads the numbers of a device node (stat(2)).
func device(host, inside string) (specs.LinuxDevice, error) {
	var st unix.Stat_t
	if err := unix.Stat(host, &st); err != nil {
		return specs.LinuxDevice{}, &os.PathError{Op: "stat", Path: host, Err: err}
	}
	kind := map[uint32]string{unix.S_IFBLK: "b", unix.S_IFCHR: "c"}[st.Mode&unix.S_IFMT]
	if kind == "" {
		return specs.LinuxDevice{}, fmt.Errorf("%s: %w", host, errNoDevice)
	}
	mode, uid, gid := os.FileMode(st.Mode&0o7777), st.Uid, st.Gid
	return specs.LinuxDevice{Path: inside, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
		FileMode: &mode, UID: &uid, GID: &gid}, nil
}

// FindDevices finds the nodes of --device. A folder stands for all nodes in it.
func FindDevices(list []minicontainer.Device) ([]specs.LinuxDevice, error) {
	var all []specs.LinuxDevice
	for _, want := range list {
		d, err := device(want.PathOnHost, want.PathInContainer)
		if err == nil {
			all = append(all, d)
			continue
		}
		below, walkErr := devicesBelow(want.PathOnHost, want.PathInContainer)
		if walkErr != nil || len(below) == 0 {
			return nil, fmt.Errorf("error gathering device information while adding custom device %q: %w", want.PathOnHost, err)
		}
		all = append(all, below...)
	}
	return all, nil
}

// HostDevices are all nodes of the host's /dev, but those that every container
// gets anyway and terminals, which belong to somebody.
func HostDevices() ([]specs.LinuxDevice, error) { return devicesBelow("/dev", "/dev") }

var ownPlaces = []string{"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd", "/dev/console", "/dev/ptmx", "/dev/.udev"}

func devicesBelow(host, inside string) ([]specs.LinuxDevice, error) {
	var all []specs.LinuxDevice
	err := filepath.WalkDir(host, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone since, or not ours to see
		}
		for _, own := range ownPlaces {
			if file == own || strings.HasPrefix(file, own+"/") {
				return nil
			}
		}
		if entry.Type()&fs.ModeDevice == 0 {
			return nil
		}
		d, err := device(file, path.Join(inside, strings.TrimPrefix(file, host)))
		if err == nil {
			all = append(all, d)
		}
		return nil
	})
	return all, err
}

// Throttled reads the numbers of the block devices that limits are about.
func Throttled(r *minicontainer.Resources) (map[string][2]int64, error) {
	numbers := map[string][2]int64{}
	for _, list := range [][]minicontainer.ThrottleDevice{r.BlkioDeviceReadBps, r.BlkioDeviceWriteBps, r.BlkioDeviceReadIOps, r.BlkioDeviceWriteIOps} {
		for _, t := range list {
			d, err := device(t.Path, t.Path)
			if err != nil {
				return nil, err
			}
			numbers[t.Path] = [2]int64{d.Major, d.Minor}
		}
	}
	return numbers, nil
}
