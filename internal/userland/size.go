package userland

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseSize reads "64M", "1g", "4096": bytes, with powers of 1024.
func parseSize(text string) (int64, error) {
	number, shift := strings.TrimRight(strings.ToLower(text), "b"), 0
	for i, unit := range []string{"k", "m", "g", "t"} {
		if rest, ok := strings.CutSuffix(number, unit); ok {
			number, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return 0, fmt.Errorf("size %q: want a number with an optional k, m, g or t", text)
	}
	return n << shift, nil
}

// parseSeconds reads "10", "0.5", "10s", "2m", "1h", "1d".
func parseSeconds(text string) (time.Duration, error) {
	number, unit := text, time.Second
	for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = rest, u
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*float64(unit) > 1<<62 {
		return 0, fmt.Errorf("time %q: want a number of seconds, or with s, m, h or d", text)
	}
	return time.Duration(n * float64(unit)), nil
}

// human writes bytes as `ls -h` does: powers of 1024, one digit if below 10.
func human(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	if value < 10 {
		return fmt.Sprintf("%.1f%c", value, "KMGTP"[unit])
	}
	return fmt.Sprintf("%.0f%c", value, "KMGTP"[unit])
}
