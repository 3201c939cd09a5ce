package dmthin

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A node of a B-tree is one block: a header of 32 bytes, then all keys, then all
// values (drivers/md/persistent-data/dm-btree-internal.h). In inner nodes the
// values are blocks of nodes below.
//
//	0 checksum  4 flags  8 block number  16 entries  20 room for  24 bytes per value  32 keys ...

const (
	nodeHeader = 32
	nodeLeaf   = 2
	// treeDepth bounds the way down: 252 children each, so that 8 are far too many.
	treeDepth = 8
)

// entry is a key with its value of 8 bytes.
type entry struct{ key, value uint64 }

// parseNode reads a node with values of 8 bytes, and checks that it is where it says.
func parseNode(b []byte, block uint64) (entries []entry, leaf bool, err error) {
	if len(b) < metadataBlock {
		return nil, false, fmt.Errorf("a node of %d bytes: %w", len(b), unix.EINVAL)
	}
	at, count, room, size := disk.Uint64(b[8:]), disk.Uint32(b[16:]), disk.Uint32(b[20:]), disk.Uint32(b[24:])
	if at != block || size != 8 || count > room || room > (metadataBlock-nodeHeader)/16 {
		return nil, false, fmt.Errorf("metadata block %d is no node: block %d, %d of %d entries of %d bytes: %w", block, at, count, room, size, unix.EINVAL)
	}
	values := nodeHeader + 8*int(room)
	for i := range int(count) {
		entries = append(entries, entry{disk.Uint64(b[nodeHeader+8*i:]), disk.Uint64(b[values+8*i:])})
	}
	return entries, disk.Uint32(b[4:])&nodeLeaf != 0, nil
}

// eachEntry visits the leaves below a node in the order of keys.
func eachEntry(r io.ReaderAt, block uint64, depth int, visit func(entry) error) error {
	if depth == 0 {
		return fmt.Errorf("metadata block %d: the tree has no end: %w", block, unix.EINVAL)
	}
	b, err := readBlock(r, block)
	if err != nil {
		return err
	}
	entries, leaf, err := parseNode(b, block)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if leaf {
			err = visit(e)
		} else {
			err = eachEntry(r, e.value, depth-1, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
