package dmthin

import (
	"bytes"
	"fmt"
)

// What follows the header is a list of records of unequal length. Each begins with
// an offset to the next, 0 in the last. From where that offset counts differs:
// from the record itself in the lists of devices and of versions and in a table
// that is loaded, but from the first record in a table that is read.

// walk calls visit with each record's bytes up to the end of the payload. next
// reads a record's offset; fromFirst says how it counts.
func walk(payload []byte, header int, fromFirst bool, next func([]byte) uint32, visit func([]byte) error) error {
	for at := 0; ; {
		if at+header > len(payload) {
			return fmt.Errorf("a record at byte %d of %d is cut off", at, len(payload))
		}
		record := payload[at:]
		if err := visit(record); err != nil {
			return err
		}
		step := int(next(record))
		if step == 0 {
			return nil
		}
		to := at + step
		if fromFirst {
			to = step
		}
		if to < at+header {
			return fmt.Errorf("the record at byte %d points back to byte %d", at, to)
		}
		at = to
	}
}

// text takes the bytes up to the first NUL.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// aligned rounds up to the next 8 bytes, where the kernel puts records.
func aligned(n int) int { return (n + 7) &^ 7 }
