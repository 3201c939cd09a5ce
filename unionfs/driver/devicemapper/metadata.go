package devicemapper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
)

// A Device is metadata/<id>, in Docker's words.
type Device struct {
	DeviceID      uint32 `json:"device_id"`
	Size          uint64 `json:"size"` // bytes
	TransactionID uint64 `json:"transaction_id"`
	Initialized   bool   `json:"initialized"` // a file system was made on it
	Deleted       bool   `json:"deleted"`
}

// ParseDevice reads metadata/<id>.
func ParseDevice(data []byte) (Device, error) {
	var dev Device
	if err := json.Unmarshal(data, &dev); err != nil {
		return dev, fmt.Errorf("device metadata: %w", err)
	}
	if dev.DeviceID == 0 || dev.DeviceID > maxDeviceID {
		return dev, fmt.Errorf("device metadata: device id %d is not in 1 to %d", dev.DeviceID, maxDeviceID)
	}
	return dev, nil
}

// transaction is metadata/transaction-metadata: the device that is being made or
// deleted. It is written before the pool is told and removed when the layer's
// own file is there, so that after a crash the device that nobody knows can be
// found and deleted.
type transaction struct {
	OpenTransactionID uint64 `json:"open_transaction_id"`
	DeviceIDHash      string `json:"device_hash"`
	DeviceID          uint32 `json:"device_id"`
}

func (d *Driver) metadata(name string) string { return filepath.Join(d.home, "metadata", name) }

func (d *Driver) device(id string) (Device, error) {
	if err := unionfs.CheckID(id); err != nil {
		return Device{}, err
	}
	data, err := os.ReadFile(d.metadata(id))
	if err != nil {
		return Device{}, fmt.Errorf("layer %s: %w", id, err)
	}
	return ParseDevice(data)
}

// save writes a metadata file in one step.
func (d *Driver) save(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := d.metadata("." + name + ".tmp")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, d.metadata(name))
}

// exclusive runs do while no other process changes the metadata: device ids are
// given out here, and the pool takes one message at a time.
func (d *Driver) exclusive(do func() error) error {
	f, err := os.Open(d.metadata(""))
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("flock %s LOCK_EX: %w", f.Name(), err)
	}
	if err := d.finishTransaction(); err != nil {
		return err
	}
	return do()
}

// finishTransaction deletes the device of a transaction that its process did
// not live to finish. The lock says that it is nobody's any more.
func (d *Driver) finishTransaction() error {
	data, err := os.ReadFile(d.metadata(transactionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var t transaction
	if err := json.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("%s: %w", transactionFile, err)
	}
	if _, err := d.device(t.DeviceIDHash); errors.Is(err, fs.ErrNotExist) {
		if err := d.pool.Delete(t.DeviceID); err != nil && !errors.Is(err, unix.ENODATA) {
			return fmt.Errorf("delete the device of an unfinished layer: %w", err)
		}
	}
	return os.Remove(d.metadata(transactionFile))
}

const transactionFile = "transaction-metadata"

// nextDevice finds a free device id and a new transaction id.
func (d *Driver) nextDevice() (device uint32, tx uint64, err error) {
	ids, err := d.List()
	if err != nil {
		return 0, 0, err
	}
	used := make(map[uint32]bool)
	for _, id := range append(ids, baseName) {
		dev, err := d.device(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		used[dev.DeviceID] = true
		tx = max(tx, dev.TransactionID)
	}
	for device = 1; used[device]; device++ {
	}
	return device, tx + 1, nil
}
