package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cutaway/unionfs"
	"cutaway/unionfs/driver"
)

// Choose names the driver for a root: the one that has images there, or the
// best one that works.
func Choose(root string) (string, error) {
	switch used := Used(root); len(used) {
	case 0:
	case 1:
		return used[0], nil
	default:
		return "", fmt.Errorf("%s contains several valid storage drivers: %s; choose one with --storage-driver", root, strings.Join(used, ", "))
	}
	if Works(root, "overlay2") == nil {
		return "overlay2", nil
	}
	return "vfs", nil
}

// Used names the drivers that have layers in a root.
func Used(root string) []string {
	var used []string
	for _, name := range driver.Names() {
		if layers, err := os.ReadDir(filepath.Join(root, "image", name, "layerdb/sha256")); err == nil && len(layers) > 0 {
			used = append(used, name)
		}
	}
	return used
}

// Works stacks two empty layers and mounts them: a driver that opens may still
// be refused its mount, as overlay2 is without CAP_SYS_ADMIN. What was made for
// that is gone afterwards.
func Works(root, name string) (err error) {
	home := filepath.Join(root, name)
	_, before := os.Lstat(home)
	d, err := driver.Open(root, name, driver.Options{})
	if err == nil {
		err = errors.Join(try(d), d.Close())
	}
	if err != nil && before != nil {
		// Folders that the driver made; one with something in it stays.
		os.Remove(filepath.Join(home, "l"))
		os.Remove(home)
	}
	return err
}

func try(d unionfs.Driver) (err error) {
	below, top := unionfs.NewID(), unionfs.NewID()
	for _, l := range [][2]string{{below, ""}, {top, below}} {
		if err := d.Create(l[0], l[1], unionfs.CreateOptions{}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Remove(l[0])) }()
	}
	m, err := d.Mount(top, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	return m.Release()
}
