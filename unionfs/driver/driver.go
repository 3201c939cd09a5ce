// Package driver opens a layer driver by its name, as --storage-driver gives it.
// Each driver is a package below; nothing here but the choice.
package driver

import (
	"fmt"
	"path/filepath"

	"cutaway/unionfs"
	"cutaway/unionfs/driver/aufs"
	"cutaway/unionfs/driver/btrfs"
	"cutaway/unionfs/driver/devicemapper"
	"cutaway/unionfs/driver/overlay2"
	"cutaway/unionfs/driver/vfs"
	"cutaway/unionfs/driver/zfs"
)

// Names lists the drivers, those first that need nothing to be set up.
func Names() []string {
	return []string{"overlay2", "vfs", "btrfs", "zfs", "aufs", "devicemapper"}
}

// Options are what single drivers need from outside.
type Options struct {
	Mounter      aufs.Mounter         // aufs; nil for package unionfs/aufs, see mounter.go
	Pool         devicemapper.Pool    // devicemapper
	DeviceMapper devicemapper.Options // devicemapper
	Dataset      string               // zfs
}

// Open opens the driver name below the state root, such as /var/lib/cutaway.
func Open(root, name string, o Options) (unionfs.Driver, error) {
	home := filepath.Join(root, name)
	switch name {
	case "overlay2":
		return orNil(overlay2.Open(home, overlay2.Options{Parameters: "/sys/module/overlay/parameters"}))
	case "vfs":
		return orNil(vfs.Open(home))
	case "btrfs":
		return orNil(btrfs.Open(home))
	case "zfs":
		if o.Dataset == "" {
			return nil, missing(name, "no dataset was named", "name one with --storage-opt zfs.fsname=POOL/DATASET")
		}
		return orNil(zfs.Open(home, o.Dataset))
	case "aufs":
		if o.Mounter == nil {
			o.Mounter = aufsMounter{}
		}
		return orNil(aufs.Open(home, o.Mounter))
	case "devicemapper":
		if o.Pool == nil {
			return nil, missing(name, "there is no thin pool", "make one first, or run it in the VM")
		}
		return orNil(devicemapper.Open(home, o.Pool, o.DeviceMapper))
	}
	return nil, fmt.Errorf("storage driver %q: want one of %v", name, Names())
}

func missing(name, reason, remedy string) error {
	return &unionfs.Unsupported{What: "driver " + name, Reason: reason, Remedy: remedy}
}

// orNil keeps a nil pointer of a driver's type from becoming a Driver that is
// not nil.
func orNil[D unionfs.Driver](d D, err error) (unionfs.Driver, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}
