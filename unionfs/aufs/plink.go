package aufs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// plink is a pseudo-link: the copy of a lower file that has several names.
// Copying it up by one name would tear the names apart. So the copy gets a
// link in the plnk folder, and whoever comes by another name finds it there.
// The other names become real links when they are opened or changed.
//
// The entry stays in plnk for good, as with the module (auplink(8) removes it).
type plink struct {
	b     *branch
	path  string         // .wh..wh.plnk/<union inode>.<branch inode>
	nlink uint64         // what the union shows: names, real ones or not
	real  map[entry]bool // names that are links in b already
}

// installPlink puts a copy into the plnk folder and links the name used to it.
func (fs *FS) installPlink(j *job, st *unix.Stat_t) (changed []*node, err error) {
	path := fmt.Sprintf("%s/%d.%d", whPlink, j.n.ino, st.Ino)
	if err := unix.Renameat(j.to.orph, j.tmp, j.to.fd, path); err != nil {
		return nil, err
	}
	pl := &plink{b: j.to, path: path, nlink: uint64(j.st.Nlink), real: map[entry]bool{}}
	if !j.toPlink {
		if changed, err = fs.linkPlink(pl, j.from); err != nil {
			unix.Unlinkat(j.to.fd, path, 0)
			return changed, err
		}
		changed = append(changed, j.from.parent)
	}
	fs.mu.Lock()
	j.n.plink = pl
	fs.mu.Unlock()
	return changed, nil
}

// linkPlink makes a name of a pseudo-linked file a real link.
func (fs *FS) linkPlink(pl *plink, e entry) (changed []*node, err error) {
	if changed, err = fs.ensureDir(e.parent, pl.b); err != nil {
		return changed, err
	}
	_, path, err := fs.placeName(e)
	if err != nil {
		return changed, err
	}
	if err := ignoreExisting(unix.Linkat(pl.b.fd, pl.path, pl.b.fd, path, 0)); err != nil {
		return changed, err
	}
	pl.real[e] = true
	return changed, nil
}

// materialise makes the name that the node was just used by a real link. The
// folder's times stay: to the user nothing new appeared in it.
func (fs *FS) materialise(n *node) error {
	fs.mu.Lock()
	e, pl := n.usedName(), n.plink
	needed := pl != nil && e.parent != nil && !pl.real[e]
	fs.mu.Unlock()
	if !needed {
		return nil
	}
	fs.tree.Lock()
	changed, err := fs.makeReal(n, pl, e)
	fs.tree.Unlock()
	fs.kernel.attrsChanged(changed)
	return err
}

func (fs *FS) makeReal(n *node, pl *plink, e entry) (changed []*node, err error) {
	if pl.real[e] || e.parent.children[e.name] != n {
		return nil, nil
	}
	if changed, err = fs.ensureDir(e.parent, pl.b); err != nil {
		return changed, err
	}
	_, dir, err := fs.place(e.parent)
	if err != nil {
		return changed, err
	}
	st, err := pl.b.lstat(dir)
	if err != nil {
		return changed, err
	}
	if _, err = fs.linkPlink(pl, e); err == nil {
		ts := []unix.Timespec{st.Atim, st.Mtim}
		err = unix.UtimesNanoAt(pl.b.fd, dir, ts, unix.AT_SYMLINK_NOFOLLOW)
	}
	return changed, err
}
