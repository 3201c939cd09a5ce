package storage

import (
	"errors"
	"fmt"

	"cutaway/unionfs"
	"cutaway/unionfs/driver"
	"cutaway/unionfs/image"
)

// Options say which store to open.
type Options struct {
	Root    string         // the state root, such as /var/lib/cutaway
	Driver  string         // a name from driver.Names, "" to choose
	Drivers driver.Options // what single drivers need from outside
}

// Open opens the store. Store.Driver.Close is for the caller to call.
func Open(o Options) (*image.Store, error) {
	if o.Driver == "" {
		var err error
		if o.Driver, err = Choose(o.Root); err != nil {
			return nil, err
		}
	}
	d, err := openDriver(o)
	if err != nil {
		return nil, fmt.Errorf("open the image store in %s: %w", o.Root, withCause(err))
	}
	s, err := image.Open(o.Root, d)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the image store in %s: %w", o.Root, withCause(err)), d.Close())
	}
	return s, nil
}

func openDriver(o Options) (unionfs.Driver, error) {
	if o.Driver == "devicemapper" && o.Drivers.Pool == nil {
		return openDevicemapper(o.Root, o.Drivers)
	}
	return driver.Open(o.Root, o.Driver, o.Drivers)
}

// withCause adds the likely cause of a bare errno.
func withCause(err error) error {
	if why := unionfs.Why(err); why != "" && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w (%s)", err, why)
	}
	return err
}
