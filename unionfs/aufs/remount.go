package aufs

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// mountBranches performs the actions of the first mount. All paths are looked
// up before anything is made in any branch; each branch is then checked and
// prepared in turn, so that a later one's failure leaves what was made in the
// ones before, as with the module.
func (fs *FS) mountBranches() error {
	if len(fs.opts.Actions) == 0 {
		return fmt.Errorf("no branches: %w", unix.EINVAL)
	}
	if err := fs.lookPaths(fs.opts.Actions); err != nil {
		return err
	}
	for i, a := range fs.opts.Actions {
		if a.Verb == "del" || a.Verb == "mod" {
			return fmt.Errorf("%s at mount time: %w", a.Verb, unix.EINVAL)
		}
		if a.Perm == nil && i == 0 {
			a.Perm = &Perm{Base: "rw"}
		}
		if err := fs.act(a); err != nil {
			return err
		}
	}
	fs.refreshRoot()
	return fs.touchXino()
}

func (fs *FS) lookPaths(actions []Action) error {
	for _, a := range actions {
		var st unix.Stat_t
		err := unix.Stat(fs.prefix+a.Path, &st)
		if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			err = unix.ENOTDIR
		}
		if err != nil {
			return fmt.Errorf("lookup failed %s (%v): %w", a.Path, err, unix.EINVAL)
		}
	}
	return nil
}

// act performs one action on the branch list. fs.tree is held for writing, or
// nobody uses the union yet.
func (fs *FS) act(a Action) error {
	perm := Perm{Base: "ro"}
	if a.Perm != nil {
		perm = *a.Perm
	}
	switch a.Verb {
	case "append":
		return fs.addBranch(len(fs.branches), a.Path, perm)
	case "prepend":
		return fs.addBranch(0, a.Path, perm)
	case "add":
		return fs.addBranch(a.Index, a.Path, perm)
	case "del":
		return fs.delBranch(a.Path)
	case "mod":
		return fs.modBranch(a.Path, perm)
	}
	return fmt.Errorf("branch action %q: %w", a.Verb, unix.EINVAL)
}

// addBranch puts a directory at an index. One that is in already is left as it is.
func (fs *FS) addBranch(index int, path string, perm Perm) error {
	b, err := openBranch(fs.prefix, path, perm)
	if err != nil {
		return err
	}
	if err := fs.admit(b, index); err != nil {
		b.close()
		if errors.Is(err, errPresent) && fs.kernel.live {
			return nil // a remount that names a branch again changes nothing
		}
		return err
	}
	b.id = fs.nextID
	fs.nextID++
	fs.branches = append(fs.branches[:index:index], append([]*branch{b}, fs.branches[index:]...)...)
	fs.renumberBranches()
	return nil
}

// errPresent: the directory is a branch already.
var errPresent = fmt.Errorf("duplicated: %w", unix.EINVAL)

func (fs *FS) admit(b *branch, index int) error {
	for _, c := range fs.branches {
		if b.same(c) {
			return fmt.Errorf("%s %w", b.path, errPresent)
		}
		if b.overlaps(c) {
			return fmt.Errorf("%s is overlapped: %w", b.path, unix.EINVAL)
		}
	}
	if len(fs.branches) >= MaxBranches {
		return fmt.Errorf("number of branches exceeded %s: %w", b.path, unix.ENOSPC)
	}
	if index > len(fs.branches) {
		return fmt.Errorf("branch index %d of %d: %w", index, len(fs.branches), unix.EDOM)
	}
	if !b.perm.Writable() {
		return nil
	}
	return b.prepare(!fs.opts.NoPlink)
}

func (fs *FS) renumberBranches() {
	for i, b := range fs.branches {
		b.index = i
	}
}

// branchAt finds the branch that a path leads to, nil if none.
func (fs *FS) branchAt(path string) *branch {
	var st unix.Stat_t
	if unix.Stat(fs.prefix+path, &st) != nil {
		return nil
	}
	for _, b := range fs.branches {
		if b.dev == st.Dev && b.ino == st.Ino {
			return b
		}
	}
	return nil
}

// delBranch takes a branch out, unless something of it is open. What it holds
// stays as it is, base entries included.
func (fs *FS) delBranch(path string) error {
	b := fs.branchAt(path)
	if b == nil {
		return nil
	}
	if len(fs.branches) == 1 || fs.busy(b) {
		return fmt.Errorf("branch %s is in use: %w", path, unix.EBUSY)
	}
	fs.branches = append(fs.branches[:b.index:b.index], fs.branches[b.index+1:]...)
	fs.renumberBranches()
	b.close()
	return nil
}

// busy tells whether a file, or a folder, of the branch is open.
func (fs *FS) busy(b *branch) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, h := range fs.handles {
		if h.n.top() == b {
			return true
		}
	}
	for _, d := range fs.dirs {
		if d.n.id != rootID && d.n.in(b) {
			return true
		}
	}
	return false
}

// modBranch changes a branch's permission.
func (fs *FS) modBranch(path string, perm Perm) error {
	b := fs.branchAt(path)
	if b == nil {
		return nil
	}
	was := b.perm
	b.perm = perm
	switch {
	case was.Writable() && !perm.Writable():
		b.dropBases()
	case !was.Writable() && perm.Writable():
		if err := b.prepare(!fs.opts.NoPlink); err != nil {
			b.perm = was
			return err
		}
	}
	return nil
}

// remount changes the branch list of a union in use: append:, prepend:,
// add:INDEX:, del:, mod:, in the order given. A path that does not exist fails
// all; an error found while acting leaves the earlier actions in force.
// Without any action it makes the union look at its branches anew.
//
// Paths are those of the process that asks; prefix leads to its root directory.
func (fs *FS) remount(text, prefix string) error {
	opts, err := ParseOptions(text)
	if err != nil {
		return err
	}
	fs.tree.Lock()
	fs.prefix = prefix
	if err := fs.lookPaths(opts.Actions); err != nil {
		fs.tree.Unlock()
		return err
	}
	for _, a := range opts.Actions {
		if err = fs.act(a); err != nil {
			break
		}
	}
	changed := fs.refreshAll()
	fs.tree.Unlock()
	fs.kernel.listsChanged(changed)
	if !fs.kernel.expireNames() {
		time.Sleep(min(fs.cacheTime(), time.Second)) // until the kernel's memory has run out
	}
	return err
}

// refreshRoot makes the root the merger of all branches.
func (fs *FS) refreshRoot() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.root.layers = append([]*branch(nil), fs.branches...)
	fs.root.strict = false
	for _, b := range fs.branches[min(1, len(fs.branches)):] {
		if st, err := b.lstat("."); err == nil {
			fs.root.strict = fs.root.strict || closed(&st)
		}
	}
}

// refreshAll finds every known node again in the changed stack, from the root
// down. Numbers stay; what has vanished loses its name.
func (fs *FS) refreshAll() (changed []*node) {
	fs.refreshRoot()
	for waiting := []*node{fs.root}; len(waiting) > 0; waiting = waiting[1:] {
		p := waiting[0]
		changed = append(changed, p)
		for name, n := range p.children {
			f, err := fs.find(p, name)
			fs.mu.Lock()
			if err != nil || f.st.Mode&unix.S_IFMT != n.kind {
				if len(n.handles) == 0 {
					fs.detach(n, entry{p, name})
				}
			} else if n.plink == nil && len(n.handles) == 0 {
				n.layers, n.strict = f.layers, f.strict
				fs.renumber(n, f.layers[0], &f.st)
			}
			fs.mu.Unlock()
			waiting = append(waiting, n)
		}
	}
	return changed
}

// touchXino makes and unlinks the file in which the module keeps its inode
// numbers. Ours are in memory; the option fails in the same cases.
func (fs *FS) touchXino() error {
	if fs.opts.NoXino {
		return nil
	}
	path := fs.opts.XinoPath
	if path != "" {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return fmt.Errorf("xino=%s: %w", path, err)
		}
		unix.Close(fd)
		unix.Unlink(path)
	} else {
		path = "/tmp/.aufs.xino"
		for _, b := range fs.branches {
			if b.perm.Writable() {
				path = b.path + "/.aufs.xino"
				break
			}
		}
	}
	fs.xiPath = path
	return nil
}
