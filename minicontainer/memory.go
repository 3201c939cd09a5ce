package minicontainer

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// limitOr is a memory limit, or the machine's memory when it is larger than that.
func limitOr(limit uint64) (uint64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kib uint64
		if text, is := strings.CutPrefix(lines.Text(), "MemTotal:"); is {
			if _, err := fmt.Sscan(text, &kib); err != nil {
				return 0, fmt.Errorf("/proc/meminfo: %w", err)
			}
			return min(limit, kib<<10), nil
		}
	}
	return limit, lines.Err()
}
