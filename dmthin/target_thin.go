package dmthin

import "fmt"

// ThinPool is a pool of blocks (thin-provisioning.rst).
type ThinPool struct {
	Metadata, Data string
	BlockSectors   uint64 // 128 (64 KiB) to 2097152 (1 GiB), a multiple of 128
	LowWater       uint64 // free blocks below which the pool raises an event
	Features       PoolFeatures
}

// PoolFeatures change how a pool behaves.
type PoolFeatures struct {
	SkipZeroing    bool // give out blocks with old content in what is not written
	IgnoreDiscard  bool // keep blocks that were discarded
	NoPassdown     bool // take discarded blocks back, but do not tell the data device
	ReadOnly       bool // refuse changes of the metadata
	ErrorIfNoSpace bool // when full, fail writes at once instead of queueing them
}

// poolFeature joins the kernel's words and our fields.
type poolFeature struct {
	word string
	set  *bool
}

func (f *PoolFeatures) words() []poolFeature {
	return []poolFeature{
		{"skip_block_zeroing", &f.SkipZeroing}, {"ignore_discard", &f.IgnoreDiscard},
		{"no_discard_passdown", &f.NoPassdown}, {"read_only", &f.ReadOnly}, {"error_if_no_space", &f.ErrorIfNoSpace},
	}
}

// Target is "thin-pool".
func (ThinPool) Target() string { return "thin-pool" }

// Params is "METADATA DATA BLOCK LOWWATER [COUNT FEATURE...]".
func (p ThinPool) Params() string {
	var on []string
	for _, f := range p.Features.words() {
		if *f.set {
			on = append(on, f.word)
		}
	}
	return fmt.Sprintf("%s %s %d %d", p.Metadata, p.Data, p.BlockSectors, p.LowWater) + counted(on)
}

// Thin is a thin device of a pool. External is a read-only device that shows
// through where nothing was written, "" for none.
type Thin struct {
	Pool     string
	ID       uint32 // 24 bits
	External string
}

// Target is "thin".
func (Thin) Target() string { return "thin" }

// Params is "POOL ID [EXTERNAL]".
func (t Thin) Params() string {
	if t.External == "" {
		return fmt.Sprintf("%s %d", t.Pool, t.ID)
	}
	return fmt.Sprintf("%s %d %s", t.Pool, t.ID, t.External)
}
