package dmthin

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Mapping is one block of a thin device: where it is among the pool's data blocks.
type Mapping struct{ Block, Data uint64 }

// Mappings are the mappings of all thin devices of a pool, by id.
type Mappings map[uint32][]Mapping

// Sharing counts a thin device's blocks.
type Sharing struct {
	Mapped    uint64 // blocks that it has
	Exclusive uint64 // of those, blocks that no other thin device has
}

// Shared is the rest.
func (s Sharing) Shared() uint64 { return s.Mapped - s.Exclusive }

// Sharing counts for each thin device.
func (m Mappings) Sharing() map[uint32]Sharing {
	users := map[uint64]int{}
	for _, list := range m {
		for _, x := range list {
			users[x.Data]++
		}
	}
	result := map[uint32]Sharing{}
	for id, list := range m {
		s := Sharing{Mapped: uint64(len(list))}
		for _, x := range list {
			if users[x.Data] == 1 {
				s.Exclusive++
			}
		}
		result[id] = s
	}
	return result
}

// Mappings reads who has which blocks. The kernel's status tells how much a thin
// device maps but not what it shares, and its trees change under a reader. So the
// pool is asked to keep a copy of the roots (message reserve_metadata_snap), which
// stays as it is until it is released.
func (p *Pool) Mappings() (m Mappings, err error) {
	if err := p.message("reserve_metadata_snap"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.message("release_metadata_snap")) }()
	s, err := p.Status()
	if err != nil {
		return nil, err
	}
	path, err := p.metadataNode()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	f, err := openDirect(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadMappings(f, s.MetadataRoot)
}

// metadataNode makes a node for the pool's metadata device. Its number is in the
// table; what other nodes it has, and where, is nothing to rely on.
func (p *Pool) metadataNode() (string, error) {
	t, err := p.control.Table(p.name)
	if err != nil {
		return "", err
	}
	if len(t) != 1 || t[0].Target != "thin-pool" {
		return "", &Error{Verb: "table", Device: p.name, Detail: t.String(), Err: unix.EINVAL}
	}
	target, err := ParseTarget(t[0])
	if err != nil {
		return "", err
	}
	dev, err := ParseDev(target.(ThinPool).Metadata)
	if err != nil {
		return "", err
	}
	name := p.name + "-mappings"
	return p.control.Node(name), p.control.MakeNode(name, dev)
}

// mappingsLimit bounds what a damaged tree can make us read.
const mappingsLimit = 1 << 26

// ReadMappings reads the trees under the superblock at a block: 0 for a pool that is
// not at work, PoolStatus.MetadataRoot for a reserved copy.
func ReadMappings(r io.ReaderAt, superblock uint64) (Mappings, error) {
	b, err := readBlock(r, superblock)
	if err != nil {
		return nil, err
	}
	sb, err := parseSuperblock(b)
	if err != nil {
		return nil, err
	}
	m, left := Mappings{}, mappingsLimit
	if sb == nil {
		return m, nil
	}
	err = eachEntry(r, sb.mappings, treeDepth, func(device entry) error {
		id := uint32(device.key)
		m[id] = nil
		return eachEntry(r, device.value, treeDepth, func(e entry) error {
			if left--; left < 0 {
				return fmt.Errorf("over %d mappings: %w", mappingsLimit, unix.EOVERFLOW)
			}
			// The lower 24 bits are when it was mapped, by the pool's snapshot clock.
			m[id] = append(m[id], Mapping{e.key, e.value >> 24})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}
