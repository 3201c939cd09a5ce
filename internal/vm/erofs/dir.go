package erofs

import (
	"encoding/binary"
	"sort"
)

// entry is one line of a folder.
type entry struct {
	name string
	of   *node
}

// entries lists a folder with "." and "..", sorted by byte. These two have no place of
// their own: "-" comes before them.
func (n *node) entries() []entry {
	list := []entry{{".", n}, {"..", n.parent}}
	for name, child := range n.children {
		list = append(list, entry{name, child})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}

// dirBlocks cuts a folder's entries into blocks: entries and names of each fit.
func dirBlocks(list []entry) (blocks [][]entry) {
	start, used := 0, 0
	for i, e := range list {
		size := entrySize + len(e.name)
		if used+size > blockSize {
			blocks = append(blocks, list[start:i])
			start, used = i, 0
		}
		used += size
	}
	return append(blocks, list[start:])
}

// dirSize is the size of a folder in bytes: whole blocks, the last cut after its
// last name.
func dirSize(blocks [][]entry) int {
	size := (len(blocks) - 1) * blockSize
	for _, e := range blocks[len(blocks)-1] {
		size += entrySize + len(e.name)
	}
	return size
}

// renderDir renders a folder's blocks. Every nid in it must be known.
func renderDir(blocks [][]entry) []byte {
	out := make([]byte, dirSize(blocks))
	for i, list := range blocks {
		block := out[i*blockSize:]
		name := len(list) * entrySize // the first name starts where the entries end
		for j, e := range list {
			at := block[j*entrySize:]
			binary.LittleEndian.PutUint64(at, e.of.nid)
			binary.LittleEndian.PutUint16(at[8:], uint16(name))
			at[10] = fileTypes[e.of.kind()]
			name += copy(block[name:], e.name)
		}
	}
	return out
}
