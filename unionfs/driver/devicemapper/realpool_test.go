package devicemapper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/vm"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
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

// onScratch runs its arguments with a file system on the guest's disk: the plain folder
// that judges needs xattrs, which the guest's tmpfs does not keep.
const onScratch = `mkfs.ext4 -q -E lazy_itable_init=1 /dev/vda && mkdir /scratch && mount /dev/vda /scratch && exec "$@"`

// The same suite on a real thin pool, in a virtual machine.
func TestContractInGuest(t *testing.T) {
	if realPoolWanted() || testing.Short() {
		t.Skip("this is the guest, or -short")
	}
	_, err := exec.LookPath("qemu-system-x86_64")
	contract.Need(t, err == nil, "QEMU (package qemu-system-x86)")
	cache, err := vm.DefaultCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	k, err := vm.Prepare(ctx, cache, "", nil)
	contract.Need(t, err == nil, fmt.Sprintf("a kernel for the guest: %v", err))
	root, err := vm.BuildInitramfs(ctx, cache, vm.InitramfsSpec{Kernel: k})
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Boot(ctx, vm.Config{Kernel: k, Initramfs: root, CacheDir: cache, ScratchMB: 3072, Deadline: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var out, errs bytes.Buffer
	code, err := m.Run(ctx, vm.Command{Args: []string{"sh", "-c", onScratch, "sh", vm.SelfPath, "-test.v", "-test.run", "^TestContract$"},
		Stdout: &out, Stderr: &errs, Env: append(vm.GuestEnv("dumb"), withRealPool+"=1", "TMPDIR=/scratch")})
	t.Logf("Linux %s:\n%s%s", m.Release, out.String(), errs.String())
	if err != nil || code != 0 {
		t.Errorf("the contract in the guest: exit %d, %v; its console:\n%s", code, err, m.Console(20))
	}
}
