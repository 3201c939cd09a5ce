package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// wakeUp makes a guest that was kept one of its own: it is told the time, and given
// randomness that no other guest of the same file has.
func (a *agent) wakeUp(payload []byte) error {
	var w wake
	if err := json.Unmarshal(payload, &w); err != nil {
		return fmt.Errorf("read what has changed: %w", err)
	}
	now := unix.NsecToTimespec(w.Now)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("clock_settime(CLOCK_REALTIME, %d): %w", w.Now, err)
	}
	if err := addRandomness(w.Seed); err != nil {
		return err
	}
	return a.sayHello()
}

// addRandomness stirs the kernel's pool and makes every processor draw from it anew,
// instead of at the next minute (random(4)).
func addRandomness(seed []byte) error {
	f, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(seed); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(int(f.Fd()), unix.RNDRESEEDCRNG, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("ioctl(/dev/urandom, RNDRESEEDCRNG): %w", err)
	}
	return nil
}
