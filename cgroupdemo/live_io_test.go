package cgroupdemo

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo/workload"
	"cutaway/internal/needs"
)

// loop makes a loop device over a file in memory; it is detached at the end.
func loop(t *testing.T, size int) (path string, device specs.LinuxBlockIODevice) {
	t.Helper()
	fd, err := unix.MemfdCreate("cutaway-io", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	control, err := os.Open("/dev/loop-control")
	if err != nil {
		needs.Missing(t, "loop devices (CONFIG_BLK_DEV_LOOP): "+err.Error())
	}
	defer control.Close()
	for range 20 { // another process may take the free device before us
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatal(err)
		}
		path = fmt.Sprintf("/dev/loop%d", n)
		dev, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		var config unix.LoopConfig
		config.Fd = uint32(fd)
		copy(config.Info.File_name[:], "cutaway-io")
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &config)
		if err != nil {
			dev.Close()
			if errors.Is(err, unix.EBUSY) {
				continue
			}
			t.Fatalf("LOOP_CONFIGURE %s: %v", path, err)
		}
		t.Cleanup(func() {
			if err := unix.IoctlSetInt(int(dev.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
				t.Errorf("detach %s: %v", path, err)
			}
			dev.Close()
		})
		var stat unix.Stat_t
		if err := unix.Stat(path, &stat); err != nil {
			t.Fatal(err)
		}
		return path, specs.LinuxBlockIODevice{Major: int64(unix.Major(stat.Rdev)), Minor: int64(unix.Minor(stat.Rdev))}
	}
	t.Fatal("no free loop device")
	return "", device
}

func TestLiveIOThrottle(t *testing.T) {
	g := live(t, "io", IO)
	path, device := loop(t, 16<<20)
	h := helper(t, g)
	args := workload.WriteArgs{Path: path, Block: 64 << 10, For: 300 * time.Millisecond}
	free := <-ask[workload.Written](t, h, workload.RequestWrite, args)
	const rate = 2 << 20
	set(t, g, Spec{LinuxResources: specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
		ThrottleWriteBpsDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: device, Rate: rate}}}}})
	args.For = 1500 * time.Millisecond
	tries(t, func() error {
		slow := <-ask[workload.Written](t, h, workload.RequestWrite, args)
		t.Logf("free %.1f MB/s, throttled to %.1f MB/s: %.2f MB/s", free.Rate()/1e6, rate/1e6, slow.Rate()/1e6)
		if slow.Rate() > rate*1.3 || slow.Rate() < rate*0.6 || free.Rate() < rate*4 {
			return errors.New("not near the limit, or the free run was no faster")
		}
		return nil
	})
	// What was written before the throttle was set is on version 2's bill alone.
	var found bool
	for _, d := range g.IO().Value {
		found = found || int64(d.Major) == device.Major && int64(d.Minor) == device.Minor && d.WriteBytes >= rate && d.Writes > 0
	}
	if !found {
		t.Errorf("IO() = %+v; want at least %d bytes written to %v", g.IO(), rate, device)
	}
}
