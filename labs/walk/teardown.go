package walk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/journal"
)

// unmountBelow unmounts everything below the folder, last mounted first. A
// mount that is still in use is detached: the processes of the lab are gone by
// now, and the mount namespace will go with the worker.
func unmountBelow(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL {
			errs = append(errs, fmt.Errorf("umount %s: %w", m.Mountpoint, err))
		}
	}
	return errors.Join(errs...)
}

// mountsBelow lists the mounts below the folder in the order in which they were
// made. What is mounted on the folder itself is not below it.
func mountsBelow(dir string) ([]*mountinfo.Info, error) {
	return mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, dir+"/"), false
	})
}

// netNames is where `ip netns add` puts the names of net namespaces: a file for
// each with the namespace mounted on it. In the lab host it is the lab's own.
const netNames = "/run/netns"

// forgetNetNames takes the names away, so that a lab that is begun again, after
// going back, can give them again. They are plain empty files.
func forgetNetNames() error {
	err := unmountBelow(netNames)
	files, readErr := os.ReadDir(netNames)
	err = errors.Join(err, readErr)
	for _, f := range files {
		err = errors.Join(err, os.Remove(filepath.Join(netNames, f.Name())))
	}
	return err
}

// emptyDir removes what is in the scratch folder. It is a tmpfs of this lab
// alone with nothing mounted below, which is checked first: a recursive delete
// must never meet a mount.
func emptyDir(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s is still mounted below the scratch folder: %w", mounts[0].Mountpoint, unix.EBUSY)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !strings.HasPrefix(path, dir+"/") {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// deviceNames lists the network devices of the lab host.
func deviceNames() (map[string]bool, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the network devices of the lab host: %w", err)
	}
	names := map[string]bool{}
	for _, l := range links {
		names[l.Attrs().Name] = true
	}
	return names, nil
}

// deleteLinksBut deletes the devices that the steps made in the lab host. They
// would go with its net namespace; but going back performs the steps again in
// the same one. A device that vanished with its peer is no error.
func deleteLinksBut(kept map[string]bool) error {
	names, err := deviceNames()
	for name := range names {
		if !kept[name] {
			err = errors.Join(err, (&journal.Undo{Kind: journal.DeleteLink, Name: name}).Apply())
		}
	}
	return err
}
