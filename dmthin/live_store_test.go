package dmthin_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/needs"
	"cutaway/internal/vm/vmtest"
)

// needLoop: loop devices are tested on every kernel that has them.
func needLoop(t testing.TB) {
	t.Helper()
	needs.Root(t)
	needs.File(t, "/dev/loop-control", "kernel option CONFIG_BLK_DEV_LOOP")
}

func TestLiveLoop(t *testing.T) {
	needLoop(t)
	l, file := loop(t, mib)
	name := filepath.Base(l.Path)
	info, err := dmthin.ReadLoop("/sys", name)
	if err != nil || info.File != file || info.Sectors != 2048 || !info.Autoclear || info.ReadOnly {
		t.Errorf("ReadLoop = %+v, %v; want %s of 2048 sectors, autoclear", info, err, file)
	}
	must(t, os.Truncate(file, 2*mib))
	must(t, l.Resize())
	if size, err := dmthin.DeviceSize(l.Path); err != nil || size != 2*mib {
		t.Errorf("DeviceSize after Resize = %d, %v; want 2 MiB", size, err)
	}
	must(t, os.Remove(file))
	if info, err = dmthin.ReadLoop("/sys", name); err != nil || !info.Deleted || info.File != file {
		t.Errorf("ReadLoop of a deleted file = %+v, %v", info, err)
	}
	must(t, l.Detach())
	gone(t, name, file)
}

// gone waits for a detach, which some kernels do a moment after the last close.
func gone(t testing.TB, name, file string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		info, err := dmthin.ReadLoop("/sys", name)
		if err != nil && !errors.Is(err, os.ErrNotExist) || info.File != file {
			return // free, or another's by now
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still on %s", name, file)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestLiveLoopOptions(t *testing.T) {
	needLoop(t)
	file := filepath.Join(t.TempDir(), "cutaway-options")
	must(t, os.WriteFile(file, make([]byte, mib), 0o600))
	o := dmthin.LoopOptions{ReadOnly: true, DirectIO: true, Offset: 4096, Limit: 8192}
	l, err := dmthin.AttachLoop("/dev", file, o)
	must(t, err)
	defer func() { must(t, l.Detach()) }()
	info, err := dmthin.ReadLoop("/sys", filepath.Base(l.Path))
	if err != nil || info.Sectors != 16 || !info.ReadOnly || info.Offset != 4096 || info.Limit != 8192 || info.Autoclear {
		t.Errorf("ReadLoop = %+v, %v; want as asked: %+v", info, err, o)
	}
	t.Logf("direct IO at work: %v", info.DirectIO)
	if err := os.WriteFile(l.Path, []byte("x"), 0); !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		t.Errorf("write to a read-only loop device = %v; want EPERM", err)
	}
	if _, err := dmthin.AttachLoop("/dev", filepath.Join(t.TempDir(), "none"), o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("AttachLoop of no file = %v; want ENOENT", err)
	}
}

// The disk that only the guest has.
const wholeDisk = "/dev/vda"

func TestLiveDirect(t *testing.T) {
	c := control(t)
	if !vmtest.Inside() {
		t.Skip("a whole disk is overwritten: only in the guest, which has one for this")
	}
	spec := dmthin.DirectSpec{Name: "cutaway-direct", Device: wholeDisk, Wipe: true}
	open := func() *dmthin.Pool {
		store, err := dmthin.OpenDirectStore(c, spec)
		must(t, err)
		p, err := dmthin.StartPool(c, store, dmthin.PoolSpec{Name: "cutaway-direct", Features: dmthin.PoolFeatures{SkipZeroing: true}})
		if err != nil {
			t.Fatal(errors.Join(err, store.Close()))
		}
		return p
	}
	p := open()
	if s := status(t, p); s.Data != (dmthin.Usage{Total: 243 * mib / block}) || s.Metadata.Total != 512 {
		t.Errorf("status = %+v; want 95 %% of 256 MiB in blocks, and 2 MiB of metadata", s)
	}
	must(t, p.CreateThin(1))
	must(t, put(activate(t, p, 1, mib), 0, []byte("direct")))
	must(t, p.Grow(250*mib/block))
	if err := p.Grow(300 * mib / block); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Grow beyond the disk = %v; want ENOSPC", err)
	}
	must(t, p.Close())

	spec.Wipe = false
	p = open() // the size that it grew to comes from its superblock
	if s := status(t, p); s.Data != (dmthin.Usage{Used: 1, Total: 250 * mib / block}) {
		t.Errorf("status after a restart = %+v; want 1 of %d blocks", s, 250*mib/block)
	}
	if got := string(get(t, activate(t, p, 1, mib), 0, 6)); got != "direct" {
		t.Errorf("after a restart it reads %q; want direct", got)
	}
	must(t, p.Close())
}

// Closing while something is open stops there, and can be done again.
func TestLiveCloseBusy(t *testing.T) {
	c := control(t)
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: t.TempDir(), Data: 8 * mib, Metadata: 2 * mib})
	must(t, err)
	p, err := dmthin.StartPool(c, store, dmthin.PoolSpec{Name: "cutaway-busy"})
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	must(t, p.CreateThin(1))
	f, err := os.Open(activate(t, p, 1, mib))
	must(t, err)
	wantErrno(t, "Close while a thin device is open", p.Close(), unix.EBUSY)
	must(t, f.Close())
	must(t, p.Close())
}
