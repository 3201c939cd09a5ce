package driver_test

import (
	"errors"
	"testing"

	"cutaway/internal/needs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver"
)

// TestOpen: every driver opens, or says why not; none panics, and an error comes
// with a nil Driver.
func TestOpen(t *testing.T) {
	needs.Root(t)
	root := contract.TempDir(t)
	for _, name := range append(driver.Names(), "floppy") {
		d, err := driver.Open(root, name, driver.Options{})
		switch {
		case err == nil && d.Name() != name:
			t.Errorf("Open(%s) gave the driver %s", name, d.Name())
		case err != nil && d != nil:
			t.Errorf("Open(%s) = %v with an error; want nil", name, d)
		case err != nil && name != "floppy" && !errors.Is(err, errors.ErrUnsupported):
			t.Errorf("Open(%s): %v; want it to be named unsupported", name, err)
		}
	}
}
