package dmthin

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Usage is used and total, in blocks or sectors.
type Usage struct{ Used, Total uint64 }

// String is "3/1600".
func (u Usage) String() string { return fmt.Sprintf("%d/%d", u.Used, u.Total) }

// Free is what is left.
func (u Usage) Free() uint64 {
	if u.Used > u.Total {
		return 0
	}
	return u.Total - u.Used
}

func (w *words) usage() (u Usage) {
	s := w.word()
	used, total, ok := strings.Cut(s, "/")
	if !ok && w.err == nil {
		w.err = fmt.Errorf("%q is not USED/TOTAL: %w", s, unix.EINVAL)
	}
	two := words{rest: []string{used, total}}
	u = Usage{two.number(64), two.number(64)}
	if w.err == nil {
		w.err = two.err
	}
	return u
}

// PoolMode is what a pool lets happen.
type PoolMode string

// The modes of a pool. A failed one knows nothing of the rest of its status.
const (
	PoolReadWrite  PoolMode = "rw"
	PoolReadOnly   PoolMode = "ro"                // its metadata is full or was found broken
	PoolOutOfSpace PoolMode = "out_of_data_space" // writes to new blocks wait or fail
	PoolFailed     PoolMode = "Fail"
	PoolError      PoolMode = "Error" // the metadata could not be asked
)

// PoolStatus is the status of a thin-pool (thin-provisioning.rst).
type PoolStatus struct {
	Mode           PoolMode
	Transaction    uint64 // a number for user space, see SetTransaction
	Metadata       Usage  // blocks of 4 KiB
	Data           Usage  // blocks of the pool
	MetadataRoot   uint64 // block of the reserved metadata snapshot, 0 for none
	Discard        string // "discard_passdown", "no_discard_passdown" or "ignore_discard"
	ErrorIfNoSpace bool
	NeedsCheck     bool   // thin_check(8) must look at it before it is writable again
	MetaLowWater   uint64 // free metadata blocks below which an event is raised; 0 before Linux 4.15
}

// ParsePoolStatus reads the status text of a thin-pool.
func ParsePoolStatus(params string) (PoolStatus, error) {
	w := words{rest: strings.Fields(params)}
	if len(w.rest) == 1 && (w.rest[0] == string(PoolFailed) || w.rest[0] == string(PoolError)) {
		return PoolStatus{Mode: PoolMode(w.rest[0])}, nil
	}
	s := PoolStatus{Transaction: w.number(64), Metadata: w.usage(), Data: w.usage()}
	if root := w.word(); root != "-" {
		held := words{rest: []string{root}, err: w.err}
		s.MetadataRoot, w.err = held.number(64), held.err
	}
	s.Mode, s.Discard = PoolMode(w.word()), w.word()
	s.ErrorIfNoSpace = w.oneOf("queue_if_no_space", "error_if_no_space") == 1
	// The last two came with later kernels.
	if len(w.rest) > 0 {
		s.NeedsCheck = w.oneOf("-", "needs_check") == 1
	}
	if len(w.rest) > 0 {
		s.MetaLowWater = w.number(64)
	}
	if w.err != nil {
		return PoolStatus{}, fmt.Errorf("status of a thin-pool %q: %w", params, w.err)
	}
	return s, nil
}

// oneOf takes a word and returns its place among the choices.
func (w *words) oneOf(choices ...string) int {
	s := w.word()
	for i, c := range choices {
		if s == c {
			return i
		}
	}
	if w.err == nil {
		w.err = fmt.Errorf("%q is none of %q: %w", s, choices, unix.EINVAL)
	}
	return 0
}

// ThinStatus is the status of a thin device.
type ThinStatus struct {
	Mapped  uint64 // sectors in blocks that it has, shared ones included
	Highest uint64 // highest mapped sector; means nothing while Mapped is 0
	Failed  bool   // its pool failed
}

// ParseThinStatus reads the status text of a thin device: "1024 16383", "0 -" or "Fail".
func ParseThinStatus(params string) (ThinStatus, error) {
	w := words{rest: strings.Fields(params)}
	if len(w.rest) == 1 && (w.rest[0] == "Fail" || w.rest[0] == "Error") {
		return ThinStatus{Failed: true}, nil
	}
	s := ThinStatus{Mapped: w.number(64)}
	if len(w.rest) == 1 && w.rest[0] == "-" {
		w.rest = nil
	} else {
		s.Highest = w.number(64)
	}
	if w.err != nil || len(w.rest) > 0 {
		return ThinStatus{}, fmt.Errorf("status of a thin device %q: want MAPPED HIGHEST: %w", params, unix.EINVAL)
	}
	return s, nil
}

// SnapshotStatus is the status of an old-style snapshot, in sectors.
type SnapshotStatus struct {
	COW      Usage
	Metadata uint64
	Invalid  string // "Invalid", "Overflow", "Merge failed" or "Unknown": it is of no use any more
}

// ParseSnapshotStatus reads the status text of a snapshot: "24/2048 16".
func ParseSnapshotStatus(params string) (SnapshotStatus, error) {
	switch params {
	case "Invalid", "Overflow", "Merge failed", "Unknown":
		return SnapshotStatus{Invalid: params}, nil
	}
	w := words{rest: strings.Fields(params)}
	s := SnapshotStatus{COW: w.usage(), Metadata: w.number(64)}
	if w.err != nil || len(w.rest) > 0 {
		return SnapshotStatus{}, fmt.Errorf("status of a snapshot %q: want USED/TOTAL METADATA: %w", params, unix.EINVAL)
	}
	return s, nil
}
