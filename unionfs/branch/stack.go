package branch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

type statT = syscall.Stat_t

// A Stack is the read-only folders below an upper one, topmost first.
type Stack struct {
	roots []*os.Root
	marks Marks
}

// OpenStack opens the folders. Finish with Close.
func OpenStack(folders []string, marks Marks) (*Stack, error) {
	s := &Stack{marks: marks}
	for _, f := range folders {
		root, err := os.OpenRoot(f)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("open lower folder: %w", err)
		}
		s.roots = append(s.roots, root)
	}
	return s, nil
}

// Close lets the folders go.
func (s *Stack) Close() {
	for _, r := range s.roots {
		r.Close()
	}
}

// dirs are the lower folders that still count at one place of the tree,
// topmost first, as indexes into Stack.roots.
type dirs []int

// top is where a walk begins: all folders count.
func (s *Stack) top() dirs {
	d := make(dirs, len(s.roots))
	for i := range d {
		d[i] = i
	}
	return d
}

// lookup finds what base of the folder dir is in the stack: whether it exists,
// and where it is a folder, the lower folders that merge into it.
func (s *Stack) lookup(in dirs, dir, base string) (exists bool, sub dirs, err error) {
	name := path.Join(dir, base)
	for _, i := range in {
		fi, err := s.roots[i].Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			if s.hiddenBeside(i, dir, base) {
				break
			}
			continue
		}
		if err != nil {
			return false, nil, err
		}
		if _, ok := s.marks.Whiteout(fi); ok {
			break
		}
		if !fi.IsDir() { // a file ends the search, and hides folders further down
			return true, sub, nil
		}
		exists, sub = true, append(sub, i)
		opaque, err := s.marks.Opaque(s.roots[i], name)
		if err != nil {
			return false, nil, err
		}
		if opaque {
			break
		}
	}
	return exists, sub, nil
}

// hiddenBeside is for marks that stand beside the name that they hide, as in
// AUFS.
func (s *Stack) hiddenBeside(i int, dir, base string) bool {
	if _, ok := s.marks.(AUFS); !ok {
		return false
	}
	_, err := s.roots[i].Lstat(path.Join(dir, ".wh."+base))
	return err == nil
}

// names lists what the stack shows in the folder dir, for folders that an upper
// one hides as a whole.
func (s *Stack) names(in dirs, dir string) (map[string]bool, error) {
	candidates := make(map[string]bool)
	for _, i := range in {
		entries, err := readDir(s.roots[i], dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if _, mark := s.marks.Whiteout(e); !mark && !s.marks.Own(e.Name()) {
				candidates[e.Name()] = true
			}
		}
	}
	for name := range candidates {
		exists, _, err := s.lookup(in, dir, name)
		if err != nil {
			return nil, err
		}
		if !exists {
			delete(candidates, name)
		}
	}
	return candidates, nil
}

// readDir lists a folder below root with lstat(2) of each entry, sorted by name.
func readDir(root *os.Root, dir string) ([]fs.FileInfo, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the listing: a container is at work here
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, fi)
	}
	sortInfos(infos)
	return infos, nil
}
