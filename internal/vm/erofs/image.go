package erofs

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Image is a tree of files in the making. Names are relative to the image's root and
// use "/"; missing folders above a name are made with mode 0755.
type Image struct {
	root  *node
	nodes map[string]*node // by clean name; "" is the root
	order []*node          // as added: the order on disk
}

// node is one file, folder or link.
type node struct {
	mode     uint16 // as in stat(2)
	content  []byte // a file's bytes, a link's target, a folder's blocks
	parent   *node
	children map[string]*node // of a folder
	nid      uint64           // place of the inode, set by layOut
	block    uint32           // first block of the content, set by layOut
}

// New returns an image that holds nothing but its root folder.
func New() *Image {
	root := &node{mode: unix.S_IFDIR | 0o755, children: map[string]*node{}}
	root.parent = root
	return &Image{root: root, nodes: map[string]*node{"": root}, order: []*node{root}}
}

// Dir adds a folder; one that is there already stays as it is.
func (m *Image) Dir(name string, perm uint32) error {
	_, err := m.dir(clean(name), uint16(perm))
	return err
}

// File adds a regular file. The image keeps data until it is written.
func (m *Image) File(name string, perm uint32, data []byte) error {
	return m.add(name, &node{mode: unix.S_IFREG | uint16(perm), content: data})
}

// Symlink adds a symbolic link.
func (m *Image) Symlink(name, target string) error {
	if len(target) == 0 || len(target) > maxInline {
		return fmt.Errorf("erofs image: link %s: target of %d bytes; want 1 to %d", name, len(target), maxInline)
	}
	return m.add(name, &node{mode: unix.S_IFLNK | 0o777, content: []byte(target)})
}

// Has tells whether there is something of that name.
func (m *Image) Has(name string) bool { return m.nodes[clean(name)] != nil }

func (m *Image) add(name string, n *node) error {
	name = clean(name)
	if m.nodes[name] != nil {
		return fmt.Errorf("erofs image: %q added twice", name)
	}
	dir, base := path.Split(name)
	if len(base) > maxName {
		return fmt.Errorf("erofs image: name %q of %d bytes; at most %d", base, len(base), maxName)
	}
	parent, err := m.dir(clean(dir), 0o755)
	if err != nil {
		return err
	}
	n.parent, parent.children[base] = parent, n
	m.nodes[name] = n
	m.order = append(m.order, n)
	return nil
}

func (m *Image) dir(name string, perm uint16) (*node, error) {
	if n := m.nodes[name]; n != nil {
		if n.children == nil {
			return nil, fmt.Errorf("erofs image: %q is a folder and a file", name)
		}
		return n, nil
	}
	n := &node{mode: unix.S_IFDIR | perm, children: map[string]*node{}}
	return n, m.add(name, n)
}

func (n *node) kind() uint16 { return n.mode & unix.S_IFMT }

// links is st_nlink: a folder is named by its parent, by its own "." and by the ".."
// of each folder in it.
func (n *node) links() uint16 {
	if n.children == nil {
		return 1
	}
	count := uint16(2)
	for _, child := range n.children {
		if child.children != nil {
			count++
		}
	}
	return count
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
