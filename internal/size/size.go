// Package size reads sizes as Docker and runc take them.
package size

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var errForm = errors.New("write a number of bytes, or one with k, m, g or t behind it (1k is 1024)")

// Parse reads a size as Docker takes it: 65536, 64k, 64kb, 64KiB, 1.5g.
func Parse(text string) (int64, error) {
	t := strings.ToLower(strings.TrimSpace(text))
	t = strings.TrimSuffix(strings.TrimSuffix(t, "b"), "i")
	unit := 1.0
	if i := strings.IndexAny(t, "kmgtp"); i >= 0 && i == len(t)-1 {
		unit = math.Pow(1024, float64(1+strings.IndexByte("kmgtp", t[i])))
		t = strings.TrimSpace(t[:i])
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || n < 0 || math.IsNaN(n) || n*unit >= math.MaxInt64 {
		return 0, errForm
	}
	return int64(n * unit), nil
}
