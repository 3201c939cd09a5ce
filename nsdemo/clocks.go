package nsdemo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clocks are three readings of clock_gettime(2), as times since each one's zero.
type Clocks struct {
	Realtime  time.Duration // since 1970; the same in every namespace
	Monotonic time.Duration // shifted by the time namespace
	Boottime  time.Duration // shifted by the time namespace
}

// ReadClocks asks clock_gettime(2) for the caller's time namespace.
func ReadClocks() (Clocks, error) {
	var c Clocks
	for _, clock := range []struct {
		id   int32
		name string
		to   *time.Duration
	}{
		{unix.CLOCK_REALTIME, "CLOCK_REALTIME", &c.Realtime},
		{unix.CLOCK_MONOTONIC, "CLOCK_MONOTONIC", &c.Monotonic},
		{unix.CLOCK_BOOTTIME, "CLOCK_BOOTTIME", &c.Boottime},
	} {
		var ts unix.Timespec
		if err := unix.ClockGettime(clock.id, &ts); err != nil {
			return Clocks{}, fmt.Errorf("clock_gettime(%s): %w", clock.name, err)
		}
		*clock.to = time.Duration(ts.Nano())
	}
	return c, nil
}

// Uptime reads procRoot/uptime. The kernel shifts it for the reader's time
// namespace, not for that of the one who mounted /proc.
func Uptime(procRoot string) (time.Duration, error) {
	path := filepath.Join(procRoot, "uptime")
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// ReadOffsets reads procRoot/PID/timens_offsets: the offsets of the time
// namespace that the children of the process are in (time_namespaces(7)).
func ReadOffsets(procRoot string, pid int) (Offsets, error) {
	f, err := os.Open(filepath.Join(procRoot, strconv.Itoa(pid), "timens_offsets"))
	if err != nil {
		return Offsets{}, err
	}
	defer f.Close()
	return ParseOffsets(f)
}

// ParseOffsets reads lines "clock seconds nanoseconds".
func ParseOffsets(r io.Reader) (Offsets, error) {
	var o Offsets
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		var n []int
		var err error
		if len(words) == 3 {
			n, err = numbers(words[1] + " " + words[2])
		}
		if err != nil || n == nil {
			return Offsets{}, fmt.Errorf("clock offset line %q: want clock, seconds, nanoseconds", lines.Text())
		}
		offset := time.Duration(n[0])*time.Second + time.Duration(n[1])
		switch words[0] {
		case "monotonic":
			o.Monotonic = offset
		case "boottime":
			o.Boottime = offset
		}
	}
	return o, lines.Err()
}
