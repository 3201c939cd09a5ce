package aufs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// node is one inode of the union that the kernel knows about, or that a
// pseudo-link keeps alive.
type node struct {
	id   uint64 // FUSE node id: the inode number, except for the root
	ino  uint64
	kind uint32 // S_IFMT bits

	// copying is held by the one who copies the object up; the others wait
	// and find the work done.
	copying sync.Mutex

	// All below is guarded by FS.mu, and changes only with FS.tree held.
	lookups  uint64           // how many references the kernel holds
	names    []entry          // where it is in the tree; several for hard links
	last     entry            // the name it was last looked up by
	children map[string]*node // of a folder: the known ones
	layers   []*branch        // folder: all branches merged; otherwise the one it lives in
	strict   bool             // a lower layer of the folder is not open to everybody
	plink    *plink
	handles  map[*handle]bool
	backing  backing
	gone     unix.Stat_t // last seen attributes, for a removed folder
	keep     int         // O_PATH descriptor of an object without a name, -1 otherwise
}

// entry is a name in a folder.
type entry struct {
	parent *node
	name   string
}

func (n *node) isDir() bool { return n.kind == unix.S_IFDIR }

// top is the branch that the attributes come from.
func (n *node) top() *branch { return n.layers[0] }

// in tells whether the folder is merged from b among others.
func (n *node) in(b *branch) bool {
	for _, l := range n.layers {
		if l == b {
			return true
		}
	}
	return false
}

// path is where the node's folder path leads in every branch: names are the
// same in all of them. ok is false for a node without a name (unlinked).
// fs.mu is held.
func (n *node) path() (path string, ok bool) {
	if n.id == rootID {
		return ".", true
	}
	if len(n.names) == 0 {
		return "", false
	}
	return n.names[0].path()
}

func (e entry) path() (string, bool) {
	if e.parent == nil {
		return "", false
	}
	dir, ok := e.parent.path()
	if !ok {
		return "", false
	}
	return joinPath(dir, e.name), true
}

// attach gives the node a name. Whatever had that name before loses it.
// fs.mu is held.
func (fs *FS) attach(n *node, e entry) {
	if old := e.parent.children[e.name]; old == n {
		return
	} else if old != nil {
		fs.detach(old, e)
	}
	e.parent.children[e.name] = n
	n.names = append(n.names, e)
}

// detach takes a name away. fs.mu is held.
func (fs *FS) detach(n *node, e entry) {
	if e.parent.children[e.name] == n {
		delete(e.parent.children, e.name)
	}
	for i, have := range n.names {
		if have == e {
			n.names = append(n.names[:i:i], n.names[i+1:]...)
			break
		}
	}
	if n.last == e {
		n.last = entry{}
	}
	fs.prune(e.parent)
}

// node finds the node of a FUSE request.
func (fs *FS) node(id uint64) *node {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.nodes[id]
}

// Forget is the kernel's word that it dropped references.
func (fs *FS) Forget(id, count uint64) {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n := fs.nodes[id]; n != nil {
		n.lookups -= min(count, n.lookups)
		fs.prune(n)
	}
}

// prune forgets a node that nobody refers to. A folder with known children
// stays, since their paths lead through it; a pseudo-linked one stays to keep
// its names together. fs.mu is held.
func (fs *FS) prune(n *node) {
	if n.lookups > 0 || len(n.children) > 0 || len(n.handles) > 0 || n.plink != nil || n.id == rootID {
		return
	}
	delete(fs.nodes, n.id)
	if n.keep >= 0 {
		unix.Close(n.keep)
		n.keep = -1
	}
	for len(n.names) > 0 {
		fs.detach(n, n.names[0])
	}
}

// known returns the node for an object found in the branches, made on first
// sight, and counts one reference by the kernel.
func (fs *FS) known(e entry, f found) *node {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	key := f.layers[0].inode(&f.st)
	n := fs.nodes[fs.number(key)]
	if n != nil && n.kind != f.st.Mode&unix.S_IFMT {
		// The branch gave the inode number to something else meanwhile.
		delete(fs.inos, key)
		n = nil
	}
	if n == nil {
		ino := fs.number(key)
		n = &node{id: ino, ino: ino, kind: f.st.Mode & unix.S_IFMT, handles: map[*handle]bool{}, keep: -1}
		if n.isDir() {
			n.children = map[string]*node{}
		}
		fs.nodes[ino] = n
	}
	if n.plink == nil {
		n.layers, n.strict = f.layers, f.strict
	}
	if n.isDir() && len(n.names) > 0 && n.names[0] != e {
		fs.detach(n, n.names[0]) // moved behind our back: a folder has one name
	}
	fs.attach(n, e)
	n.last = e
	n.lookups++
	return n
}
