package devicemapper

// A Pool is a thin pool, and the six things that this driver wants of one. Ids
// are the pool's 24-bit device ids.
type Pool interface {
	// CreateThin sends "create_thin <id>". EEXIST for an id in use.
	CreateThin(id uint32) error
	// CreateSnap sends "create_snap <id> <origin>", with the origin suspended
	// meanwhile if it is active.
	CreateSnap(id, origin uint32) error
	// Delete sends "delete <id>". ENODATA for an unknown id.
	Delete(id uint32) error
	// Activate makes the device node of a thin device of size bytes, under a
	// name such as "cutaway-<layer>", and returns its path.
	Activate(name string, id uint32, size uint64) (node string, err error)
	// Deactivate takes the device node away. ENXIO for an unknown name.
	Deactivate(name string) error
	// Status lists facts for people, such as used and free blocks.
	Status() []Fact
}

// A Fact is one line of a pool's status.
type Fact struct{ Name, Value string }

// maxDeviceID bounds the pool's ids: 24 bits.
const maxDeviceID = 1<<24 - 1
