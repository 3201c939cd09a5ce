package dmthin

import (
	"errors"
	"os"
	"path/filepath"
)

// LoopSpec is a store of two sparse files: Docker's loop-lvm. The sizes are those
// of new files; files that exist keep theirs, if it is not smaller.
type LoopSpec struct {
	Dir            string // the files are Dir/data and Dir/metadata, as with Docker
	Data, Metadata uint64 // bytes; Docker took 100 GiB and 2 GiB
	Options        LoopOptions
}

// LoopStore is such a store, attached.
type LoopStore struct {
	dir            string
	metadata, data *Loop
}

// OpenLoopStore makes the files where they are not there and attaches both. dev is
// the folder of devices, /dev.
func OpenLoopStore(dev string, spec LoopSpec) (*LoopStore, error) {
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &LoopStore{dir: spec.Dir}
	var err error
	if s.metadata, err = attachSparse(dev, filepath.Join(spec.Dir, "metadata"), spec.Metadata, spec.Options); err != nil {
		return nil, err
	}
	if s.data, err = attachSparse(dev, filepath.Join(spec.Dir, "data"), spec.Data, spec.Options); err != nil {
		return nil, errors.Join(err, s.metadata.Detach())
	}
	return s, nil
}

func attachSparse(dev, file string, size uint64, o LoopOptions) (*Loop, error) {
	if err := sparse(file, size); err != nil {
		return nil, err
	}
	return AttachLoop(dev, file, o)
}

// sparse makes a file at least that large, of a hole: it takes no space until
// blocks of it are written (ftruncate(2)).
func sparse(file string, size uint64) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && uint64(info.Size()) < size {
		err = f.Truncate(int64(size))
	}
	return errors.Join(err, f.Close())
}

// Devices are the two loop devices.
func (s *LoopStore) Devices() (metadata, data string) { return s.metadata.Path, s.data.Path }

// Grow makes the file longer, then tells the loop device.
func (s *LoopStore) Grow(data uint64) error {
	if err := sparse(filepath.Join(s.dir, "data"), data); err != nil {
		return err
	}
	return s.data.Resize()
}

// Release lets go of both and leaves them attached, as Loop.Release does: the pool on
// them stays at work when this process ends.
func (s *LoopStore) Release() error { return errors.Join(s.data.Release(), s.metadata.Release()) }

// Close detaches both. The files stay.
func (s *LoopStore) Close() error { return errors.Join(s.data.Detach(), s.metadata.Detach()) }
