package dmthin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Node is the path of a device's node in the folder given to Open.
func (c *Control) Node(name string) string { return filepath.Join(c.nodes, name) }

// MakeNode makes the node, which udev makes elsewhere (mknod(2)). A node of the
// same name with another number is a leftover of a device that is gone.
func (c *Control) MakeNode(name string, dev Dev) error {
	path := c.Node(name)
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && Dev(st.Rdev) == dev {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := unix.Mknod(path, unix.S_IFBLK|0o600, int(dev))
	if err == unix.EEXIST && unix.Stat(path, &st) == nil && Dev(st.Rdev) == dev {
		return nil // udev was faster
	}
	if err != nil {
		return fmt.Errorf("mknod(%s, S_IFBLK|0600, %s): %w", path, dev, err)
	}
	return nil
}

// Start makes a device with a table at work and a node: Create, Load, Resume,
// MakeNode. After an error nothing of it is left. The table may be opened for
// reading alone.
func (c *Control) Start(name, uuid string, t Table, readOnly bool) (Info, error) {
	if _, err := c.Create(name, uuid); err != nil {
		return Info{}, err
	}
	info, err := c.finishStart(name, t, readOnly)
	if err != nil {
		return Info{}, errors.Join(err, c.Stop(name))
	}
	return info, nil
}

func (c *Control) finishStart(name string, t Table, readOnly bool) (Info, error) {
	if err := c.Load(name, t, readOnly); err != nil {
		return Info{}, err
	}
	info, err := c.Resume(name)
	if err != nil {
		return Info{}, err
	}
	return info, c.MakeNode(name, info.Dev)
}

// stopPatience bounds Stop's retries.
const stopPatience = 3 * time.Second

// Stop removes the device, and then its node. EBUSY is retried for three seconds:
// udev opens every new device for a moment to look what is on it.
func (c *Control) Stop(name string) error {
	deadline := time.Now().Add(stopPatience)
	err := c.Remove(name)
	for errors.Is(err, unix.EBUSY) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		err = c.Remove(name)
	}
	// A device that is gone may have left its node when its process was killed.
	if err == nil || errors.Is(err, unix.ENXIO) {
		if gone := os.Remove(c.Node(name)); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			return errors.Join(err, gone)
		}
	}
	return err
}
