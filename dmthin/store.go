package dmthin

// Store is what a pool stands on: a device for the metadata and one for the data.
type Store interface {
	// Devices are the paths of the two.
	Devices() (metadata, data string)
	// Grow makes the data device at least that many bytes large; the pool must be told
	// by itself. ENOSPC if it cannot.
	Grow(data uint64) error
	// Close takes down what the store made. The pool must be gone before.
	Close() error
}

// DefaultBlockSectors is the block size that Docker gives its pools: 64 KiB.
const DefaultBlockSectors = 128

// MetadataSize is how much metadata a pool of that many bytes of data wants, by the
// kernel's own rule: 48 bytes per block, at least 2 MiB, at most what a pool can
// use, which is just under 16 GiB.
func MetadataSize(data, blockSectors uint64) uint64 {
	const least, most = 2 << 20, 255 * (1<<14 - 64) * metadataBlock
	return min(max(data/(blockSectors*SectorSize)*48, least), most)
}
