package aufs

import "golang.org/x/sys/unix"

// branchInode names an object in a branch.
type branchInode struct {
	branch   int
	dev, ino uint64
}

func (b *branch) inode(st *unix.Stat_t) branchInode {
	return branchInode{branch: b.id, dev: st.Dev, ino: st.Ino}
}

// number gives the union's inode number for an object in a branch, the next
// free one on first sight. The table lives as long as the mount: a number
// stays the same over copy-up, rename and the kernel's forgetting, and differs
// after the next mount. (The module keeps the same table in its xino file.)
// fs.mu is held.
func (fs *FS) number(key branchInode) uint64 {
	ino, ok := fs.inos[key]
	if !ok {
		ino = fs.nextIno
		fs.nextIno++
		fs.inos[key] = ino
	}
	return ino
}

// renumber says that the object in a branch is the node: what copy-up ends with.
// fs.mu is held.
func (fs *FS) renumber(n *node, b *branch, st *unix.Stat_t) {
	fs.inos[b.inode(st)] = n.ino
}
