package dmthin

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// encodeTable lays a table out for DM_TABLE_LOAD: for each line a struct
// dm_target_spec, then its parameters with a NUL.
func encodeTable(t Table) ([]byte, error) {
	var out []byte
	for _, l := range t {
		if len(l.Target) >= unix.DM_MAX_TYPE_NAME {
			return nil, fmt.Errorf("target %q: a name has up to %d bytes: %w", l.Target, unix.DM_MAX_TYPE_NAME-1, unix.ENAMETOOLONG)
		}
		size := aligned(unix.SizeofDmTargetSpec + len(l.Params) + 1)
		b := make([]byte, size)
		order.PutUint64(b, l.Start)
		order.PutUint64(b[8:], l.Length)
		order.PutUint32(b[20:], uint32(size)) // next, counted from this record
		copy(b[24:], l.Target)
		copy(b[unix.SizeofDmTargetSpec:], l.Params)
		out = append(out, b...)
	}
	return out, nil
}

// parseTable reads the payload of DM_TABLE_STATUS. With the flag
// DM_STATUS_TABLE_FLAG each line's text is the target's parameters, without it
// the target's status.
func parseTable(payload []byte, count uint32) (Table, error) {
	if count == 0 {
		return nil, nil
	}
	var t Table
	next := func(b []byte) uint32 {
		if len(t) == int(count) {
			return 0 // the last record points behind itself
		}
		return order.Uint32(b[20:])
	}
	err := walk(payload, unix.SizeofDmTargetSpec, true, next, func(b []byte) error {
		t = append(t, Line{
			Start: order.Uint64(b), Length: order.Uint64(b[8:]),
			Target: text(b[24:unix.SizeofDmTargetSpec]), Params: text(b[unix.SizeofDmTargetSpec:]),
		})
		return nil
	})
	if err == nil && len(t) != int(count) {
		err = fmt.Errorf("%d lines of %d", len(t), count)
	}
	return t, err
}
