package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

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
// be refused its mount, as overlay2 is without CAP_SYS_ADMIN. That happens in a
// folder below <root>/tmp and in a mount namespace of its own, so that nothing
// is left of it whatever happens.
func Works(root, name string) error {
	tmp := filepath.Join(root, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	busy, err := os.Open(tmp)
	if err != nil {
		return err
	}
	defer busy.Close()
	// What lies in there without this lock is a dead process's (image.Prune).
	if err := unix.Flock(int(busy.Fd()), unix.LOCK_SH); err != nil {
		return fmt.Errorf("flock %s LOCK_SH: %w", tmp, err)
	}
	trial, err := os.MkdirTemp(tmp, "probe-")
	if err != nil {
		return err
	}
	return errors.Join(inOwnMounts(func() error { return try(trial, name) }), os.RemoveAll(trial))
}

// inOwnMounts runs do in a thread with its own mount namespace. The goroutine
// ends while it is locked to the thread, so the thread ends, and with it the
// namespace and all mounts in it.
func inOwnMounts(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			// Else the mounts would show up where "/" is shared with.
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

func try(root, name string) (err error) {
	d, err := driver.Open(root, name, driver.Options{})
	if err != nil {
		return err
	}
	for _, l := range [][2]string{{"below", ""}, {"top", "below"}} {
		if err := d.Create(l[0], l[1], unionfs.CreateOptions{}); err != nil {
			return err
		}
	}
	m, err := d.Mount("top", unionfs.MountOptions{})
	if err != nil {
		return err
	}
	return errors.Join(m.Release(), d.Remove("top"), d.Remove("below"), d.Close())
}
