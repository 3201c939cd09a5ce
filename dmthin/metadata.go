package dmthin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A pool's metadata device is blocks of 4 KiB: a superblock at 0, and B-trees.
// Everything on disk is little-endian (drivers/md/dm-thin-metadata.c).
//
//	superblock --> tree: thin id --> tree: block of it --> data block (40 bits), time (24 bits)
//	          \--> tree: thin id --> how many blocks, made when

const (
	metadataBlock   = 4096
	superblockMagic = 27022010
)

var disk = binary.LittleEndian

// Superblock is what the first block of the metadata says.
type Superblock struct {
	Transaction  uint64
	HeldRoot     uint64 // block of a reserved copy of the superblock, 0 for none
	BlockSectors uint64
	DataBlocks   uint64
	mappings     uint64 // block of the root of the tree of trees
}

// parseSuperblock reads a superblock; nil for a block of zeros, in which the
// kernel would make a new pool.
func parseSuperblock(b []byte) (*Superblock, error) {
	if len(b) < metadataBlock {
		return nil, fmt.Errorf("a superblock of %d bytes: %w", len(b), unix.EINVAL)
	}
	if zeros(b[:metadataBlock]) {
		return nil, nil
	}
	if magic := disk.Uint64(b[32:]); magic != superblockMagic {
		return nil, fmt.Errorf("not a pool's metadata: magic %d, want %d: %w", magic, superblockMagic, unix.EINVAL)
	}
	return &Superblock{
		Transaction: disk.Uint64(b[48:]), HeldRoot: disk.Uint64(b[56:]),
		DataBlocks:   disk.Uint64(b[64:]), // begins the root of the data space map
		mappings:     disk.Uint64(b[320:]),
		BlockSectors: uint64(disk.Uint32(b[336:])),
	}, nil
}

func zeros(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// openDirect opens a metadata device around the page cache (open(2), O_DIRECT): the
// pool writes to the device below it, so that cached pages may be old.
func openDirect(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
}

func readSuperblock(path string) (sb *Superblock, err error) {
	f, err := openDirect(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := readBlock(f, 0)
	if err != nil {
		return nil, err
	}
	return parseSuperblock(b)
}

// readBlock reads one block into memory that is aligned as O_DIRECT wants it.
func readBlock(r io.ReaderAt, block uint64) ([]byte, error) {
	if block > 1<<40 {
		return nil, fmt.Errorf("metadata block %d: beyond what a pool can have: %w", block, unix.EINVAL)
	}
	raw := make([]byte, 2*metadataBlock)
	skip := -int(uintptr(unsafe.Pointer(&raw[0]))) & (metadataBlock - 1)
	b := raw[skip : skip+metadataBlock]
	if _, err := r.ReadAt(b, int64(block)*metadataBlock); err != nil {
		return nil, fmt.Errorf("metadata block %d: %w", block, err)
	}
	return b, nil
}
