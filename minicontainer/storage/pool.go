package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/unionfs"
	"cutaway/unionfs/driver"
	"cutaway/unionfs/driver/devicemapper"
)

// The driver devicemapper needs a thin pool. Docker's daemon starts one on two
// sparse files (loop-lvm) and keeps it for as long as it lives. Here is no daemon:
// the first command starts the pool, and the last one that needs it takes it
// down, unless a container has a device in it.
//
//	flock <root>/devicemapper                LOCK_EX while one starts or stops it
//	flock <root>/devicemapper/devicemapper   LOCK_SH while one uses it

// Sizes of new files, as Docker has them. They are sparse: of the 100 GiB only
// what is written takes space.
const (
	loopData     = 100 << 30
	loopMetadata = 2 << 30
)

// pool is a thin pool that this process uses.
type pool struct {
	*dmthin.Pool
	control *dmthin.Control
	home    string
	inUse   *os.File // holds the shared lock
}

// Status is part of devicemapper.Pool.
func (p *pool) Status() []devicemapper.Fact {
	s, err := p.Pool.Status()
	if err != nil {
		return []devicemapper.Fact{{Name: "Pool Error", Value: err.Error()}}
	}
	return []devicemapper.Fact{{Name: "Data Blocks", Value: s.Data.String()}, {Name: "Metadata Blocks", Value: s.Metadata.String()}}
}

// openDevicemapper opens the driver with the root's own pool.
func openDevicemapper(root string, o driver.Options) (unionfs.Driver, error) {
	home := filepath.Join(root, "devicemapper")
	p, err := takePool(home)
	if err != nil {
		return nil, err
	}
	o.Pool = p
	d, err := driver.Open(root, "devicemapper", o)
	if err != nil {
		return nil, errors.Join(err, p.giveBack())
	}
	return &withPool{d, p}, nil
}

// withPool gives the pool back when the driver is closed.
type withPool struct {
	unionfs.Driver
	pool *pool
}

// Close is part of unionfs.Driver.
func (w *withPool) Close() error { return errors.Join(w.Driver.Close(), w.pool.giveBack()) }

// takePool takes the pool of that home up, or starts it.
func takePool(home string) (p *pool, err error) {
	files := filepath.Join(home, "devicemapper")
	if err := os.MkdirAll(files, 0o700); err != nil {
		return nil, err
	}
	c, err := dmthin.Open("/dev", "/dev/mapper")
	if err != nil {
		return nil, &unionfs.Unsupported{What: "driver devicemapper", Reason: err.Error(),
			Remedy: "load the module dm_mod, or run it in a virtual machine: cutaway vm"}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	starting, err := locked(home, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer starting.Close()
	inUse, err := locked(files, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	thin, err := findOrStart(c, home, files)
	if err != nil {
		return nil, errors.Join(err, inUse.Close())
	}
	return &pool{thin, c, home, inUse}, nil
}

func findOrStart(c *dmthin.Control, home, files string) (*dmthin.Pool, error) {
	name, err := poolName(home)
	if err != nil {
		return nil, err
	}
	found, err := dmthin.FindPool(c, name)
	if !errors.Is(err, unix.ENXIO) {
		return found, err
	}
	// Autoclear: the loop devices go with the pool, whoever takes it down.
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: files, Data: loopData, Metadata: loopMetadata, Options: dmthin.LoopOptions{Autoclear: true}})
	if err != nil {
		return nil, err
	}
	started, err := dmthin.StartPool(c, store, dmthin.PoolSpec{Name: name})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return started, nil
}

// poolName is made of the folder's device and inode, as Docker's docker-8:1-131-pool
// is: another root has another pool.
func poolName(home string) (string, error) {
	fi, err := os.Stat(home)
	if err != nil {
		return "", err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("cutaway-%d:%d-%d-pool", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino), nil
}

// giveBack takes the pool down if nobody else uses it.
func (p *pool) giveBack() error {
	defer p.inUse.Close()
	starting, err := locked(p.home, unix.LOCK_EX)
	if err != nil {
		return errors.Join(err, p.control.Close())
	}
	defer starting.Close()
	// Our own shared lock becomes an exclusive one, if it is the only one.
	alone := unix.Flock(int(p.inUse.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
	active, err := p.Pool.Active()
	if err == nil && alone && len(active) == 0 {
		err = p.Pool.Close()
	}
	return errors.Join(err, p.control.Close())
}

// locked opens a folder and takes a lock on it. Closing the file lets it go.
func locked(dir string, how int) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("flock %s %#x: %w", dir, how, err), f.Close())
	}
	return f, nil
}
