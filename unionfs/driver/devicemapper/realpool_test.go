package devicemapper_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/vm/vmtest"
	"cutaway/unionfs"
	"cutaway/unionfs/driver/devicemapper"
)

// withRealPool makes the contract use thin pools of the kernel; TestContractInGuest
// sets it in a guest whose kernel has them.
const withRealPool = "CUTAWAY_REAL_POOL"

func realPoolWanted() bool { return os.Getenv(withRealPool) != "" }

// nodes is where device nodes are made: the other folders of the guest are nodev.
const nodes = "/dev/cutaway-contract"

// realPool is a thin pool with the status in the driver's words.
type realPool struct{ *dmthin.Pool }

func (p realPool) Status() []devicemapper.Fact {
	s, err := p.Pool.Status()
	if err != nil {
		return []devicemapper.Fact{{Name: "Pool Error", Value: err.Error()}}
	}
	return []devicemapper.Fact{{Name: "Data Blocks", Value: s.Data.String()}, {Name: "Metadata Blocks", Value: s.Metadata.String()}}
}

func poolName(home string) string { return filepath.Base(home) + "-pool" }

// openReal takes the pool of that home up, or starts it.
func openReal(home string) (unionfs.Driver, error) {
	if err := os.MkdirAll(nodes, 0o700); err != nil {
		return nil, err
	}
	c, err := dmthin.Open("/dev", nodes)
	if err != nil {
		return nil, err
	}
	pool, err := dmthin.FindPool(c, poolName(home))
	if errors.Is(err, unix.ENXIO) {
		pool, err = startReal(c, home)
	}
	if err != nil {
		return nil, err
	}
	return devicemapper.Open(home, realPool{pool}, devicemapper.Options{BaseSize: 24 << 20})
}

func startReal(c *dmthin.Control, home string) (*dmthin.Pool, error) {
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: filepath.Join(home, "devicemapper"),
		Data: 1 << 30, Metadata: 4 << 20, Options: dmthin.LoopOptions{Autoclear: true}})
	if err != nil {
		return nil, err
	}
	pool, err := dmthin.StartPool(c, store, dmthin.PoolSpec{Name: poolName(home)})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return pool, nil
}

// closeReal takes the pool of a home down; its loop devices go with it.
func closeReal(t *testing.T, home string) {
	if !realPoolWanted() {
		return
	}
	c, err := dmthin.Open("/dev", nodes)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	pool, err := dmthin.FindPool(c, poolName(home))
	if errors.Is(err, unix.ENXIO) {
		return
	}
	if err == nil {
		err = pool.Close()
	}
	if err != nil {
		t.Error(err)
	}
}

// The same suite on a real thin pool, in a virtual machine. It is on a disk: the plain
// folder that judges needs xattrs, which the guest's tmpfs does not keep.
func TestContractInGuest(t *testing.T) {
	if realPoolWanted() || testing.Short() {
		t.Skip("-short, or the guest itself: boots a virtual machine; make test-guest")
	}
	t.Log(vmtest.Again(t, vmtest.Guest{ScratchMB: 3072, Format: true, Env: []string{withRealPool + "=1"}},
		"-test.v", "-test.run", "^TestContract$"))
}
