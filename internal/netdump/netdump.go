// Package netdump asks the kernel for whole netlink tables.
//
// A dump comes in several messages. When the table changes between two of
// them, the kernel marks the answer as inconsistent (NLM_F_DUMP_INTR, see
// netlink(7)): half a table would read as "not there".
package netdump

import "github.com/vishvananda/netlink"

// tries is how often a table may change under us before its reader gives up. A
// table that changes at each of so many dumps never stands still.
const tries = 100

// Whole repeats a dump until the kernel gave it in one piece.
func Whole[T any](list func() (T, error)) (T, error) {
	var got T
	var err error
	for range tries {
		if got, err = list(); err != netlink.ErrDumpInterrupted {
			break
		}
	}
	return got, err
}
