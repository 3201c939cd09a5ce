package aufs

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The kernel checks permissions by the attributes that it is shown
// (default_permissions), which are those of the topmost object. AUFS wants
// more for folders: search and read permission on every layer, unless
// dirperm1. Only folders with a lower layer that is not open to everybody
// (node.strict) need a look here.

// closed tells whether a folder is not open to everybody.
func closed(st *unix.Stat_t) bool { return st.Mode&0o5 != 0o5 }

// mayEnter checks the lower layers of a folder for the caller.
func (fs *FS) mayEnter(p *node, who fuse.Caller, want uint32) error {
	if fs.opts.DirPerm1 || who.Uid == 0 {
		return nil
	}
	layers, dir, err := fs.place(p)
	if err != nil || len(layers) < 2 {
		return err
	}
	for _, b := range layers[1:] {
		st, err := b.lstat(dir)
		if err == nil && !allows(&st, who, want) {
			return unix.EACCES
		}
	}
	return nil
}

// nameTime is how long the kernel may believe that the name leads to the node
// (nil: to nothing) without asking.
func (fs *FS) nameTime(p, n *node, st *unix.Stat_t) time.Duration {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if p.strict {
		return 0 // each use of a name in it must come here to be checked
	}
	if n != nil && !n.isDir() && (n.plink != nil || st.Nlink > 1 && !n.top().perm.Writable()) {
		// Each use of a hard link of a lower file must be seen: the name it is
		// used by is the one to be made real after copy-up.
		return 0
	}
	return fs.cacheTime()
}

// allows is the classic permission check for one object.
func allows(st *unix.Stat_t, who fuse.Caller, want uint32) bool {
	mode := st.Mode
	switch {
	case who.Uid == st.Uid:
		mode >>= 6
	case who.Gid == st.Gid || inGroup(who.Pid, st.Gid):
		mode >>= 3
	}
	return mode&want == want
}

// inGroup reads the caller's further groups: FUSE tells the first one only.
func inGroup(pid, gid uint32) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if list, ok := strings.CutPrefix(s.Text(), "Groups:"); ok {
			for _, g := range strings.Fields(list) {
				if g == strconv.FormatUint(uint64(gid), 10) {
					return true
				}
			}
		}
	}
	return false
}
