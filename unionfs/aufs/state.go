package aufs

import (
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
)

// Kind tells which of the two is at work.
type Kind string

const (
	KindKernel Kind = "the kernel's aufs module"
	KindFUSE   Kind = "cutaway's user-space aufs (FUSE)"
)

// State is what /sys/fs/aufs/si_<id> shows of a union, for either kind.
type State struct {
	Kind     Kind
	SI       string // the id in si_<id>, hexadecimal
	Branches []BranchState
	XiPath   string // "" with noxino
	Options  string // non-default options, as /proc/mounts shows them
	Acl      bool
	PID      int // of the server; 0 for the kernel's
}

// BranchState is one branch: the files brN and bridN.
type BranchState struct {
	ID   int    // 64 and up; never used again
	Path string // as in sysfs: a blank is \040
	Perm string // "rw", "ro+wh"
}

// Files gives the content of the files in /sys/fs/aufs/si_<id>.
func (s State) Files() map[string]string {
	files := map[string]string{"xi_path": ""}
	if s.XiPath != "" {
		files["xi_path"] = s.XiPath + "\n"
	}
	for i, b := range s.Branches {
		files[fmt.Sprintf("br%d", i)] = b.Path + "=" + b.Perm + "\n"
		files[fmt.Sprintf("brid%d", i)] = fmt.Sprintf("%d\n", b.ID)
	}
	return files
}

// MountLine is the union's line in /proc/mounts as the kernel's aufs shows it.
// (The FUSE one is shown as fuse.aufs there, with FUSE's options.) flags are
// the mount's own: "rw,relatime".
func (s State) MountLine(target, flags string) string {
	words := []string{flags}
	if s.Acl {
		words = append(words, "acl")
	}
	words = append(words, "si="+s.SI)
	if s.Options != "" {
		words = append(words, s.Options)
	}
	return fmt.Sprintf("none %s aufs %s 0 0", escapePath(target), strings.Join(words, ","))
}

// State describes a union served here.
func (u *FS) State() State {
	u.tree.RLock()
	defer u.tree.RUnlock()
	s := State{
		Kind: KindFUSE, SI: strconv.FormatUint(u.si, 16), XiPath: u.xiPath,
		Options: strings.Join(u.opts.nonDefault(), ","), Acl: u.opts.Acl,
	}
	for _, b := range u.branches {
		s.Branches = append(s.Branches, BranchState{ID: b.id, Path: escapePath(b.path), Perm: b.perm.String()})
	}
	return s
}

// ReadSysfs reads the state of a union of the kernel's module from its folder
// /sys/fs/aufs/si_<id>.
func ReadSysfs(dir fs.FS) (State, error) {
	s := State{Kind: KindKernel}
	names, err := fs.Glob(dir, "brid*")
	if err != nil {
		return s, fmt.Errorf("listing the branches in sysfs: %w", err)
	}
	sort.Slice(names, func(i, j int) bool { return bridIndex(names[i]) < bridIndex(names[j]) })
	for _, name := range names {
		b, err := readBranch(dir, bridIndex(name))
		if err != nil {
			return s, err
		}
		s.Branches = append(s.Branches, b)
	}
	if xi, err := fs.ReadFile(dir, "xi_path"); err == nil {
		s.XiPath = strings.TrimSpace(string(xi))
	}
	return s, nil
}

func bridIndex(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "brid"))
	if err != nil {
		return -1
	}
	return n
}

func readBranch(dir fs.FS, i int) (b BranchState, err error) {
	id, err := fs.ReadFile(dir, fmt.Sprintf("brid%d", i))
	if err != nil {
		return b, fmt.Errorf("reading a branch id: %w", err)
	}
	if b.ID, err = strconv.Atoi(strings.TrimSpace(string(id))); err != nil {
		return b, fmt.Errorf("brid%d holds %q, want a number: %w", i, id, err)
	}
	text, err := fs.ReadFile(dir, fmt.Sprintf("br%d", i))
	if err != nil {
		return b, fmt.Errorf("reading a branch: %w", err)
	}
	b.Path, b.Perm = splitBranch(strings.TrimSpace(string(text)))
	return b, nil
}

// splitBranch cuts "/a=b/c=ro+wh" at its last =.
func splitBranch(text string) (path, perm string) {
	if i := strings.LastIndexByte(text, '='); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}
