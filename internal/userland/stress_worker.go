package userland

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// workerName is argv[0] of a stress worker.
const workerName = "stress-worker"

// runStressWorker is one unit of load. It ends by a signal, or with an error.
func runStressWorker(c *call) error {
	if len(c.args) != 2 {
		return errors.New("is started by stress")
	}
	bytes, err := parseSize(c.args[1])
	if err != nil {
		return err
	}
	switch c.args[0] {
	case "cpu":
		burn()
	case "vm":
		return hold(int(bytes))
	case "io":
		for {
			unix.Sync()
		}
	case "hdd":
		return rewrite(bytes)
	case "fork":
		for {
			time.Sleep(time.Hour)
		}
	}
	return fmt.Errorf("no load is called %q", c.args[0])
}

// burn computes until the process is killed.
func burn() {
	for x := uint64(1); ; x = x*6364136223846793005 + 1 {
		if x == 0 { // never, but the compiler cannot know
			return
		}
	}
}

// hold takes memory by mmap(2), outside of Go's heap so that no collector gives
// it back. The kernel only charges pages that were written to: hence the touch.
// They are touched again each second, or they would be the first to be swapped.
func hold(bytes int) error {
	if bytes == 0 {
		return errors.New("--vm-bytes 0: nothing to hold")
	}
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap of %d bytes: %w", bytes, err)
	}
	for {
		for i := 0; i < len(mem); i += os.Getpagesize() {
			mem[i]++
		}
		time.Sleep(time.Second)
	}
}

// rewrite fills a file and truncates it, with fsync(2) so that the bytes reach
// the device and count there. The file has no name: nothing stays behind.
func rewrite(bytes int64) error {
	f, err := os.CreateTemp(".", "stress-")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for {
		for left := bytes; left > 0; left -= int64(len(block)) {
			if _, err := f.Write(block[:min(left, int64(len(block)))]); err != nil {
				return err
			}
		}
		if err := errors.Join(f.Sync(), f.Truncate(0)); err != nil {
			return err
		}
		if _, err := f.Seek(0, 0); err != nil {
			return err
		}
	}
}
