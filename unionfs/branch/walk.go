package branch

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"cutaway/unionfs/layertar"
)

func sortInfos(infos []fs.FileInfo) {
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
}

// Changes lists what the folder upper changes in the stack lowers (topmost
// first), sorted.
func Changes(upper string, lowers []string, marks Marks) ([]layertar.Change, error) {
	root, err := os.OpenRoot(upper)
	if err != nil {
		return nil, fmt.Errorf("open upper folder: %w", err)
	}
	defer root.Close()
	stack, err := OpenStack(lowers, marks)
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	w := walk{upper: root, stack: stack, marks: marks}
	if err := w.folder(".", stack.top(), false); err != nil {
		return nil, fmt.Errorf("changes of %s: %w", upper, err)
	}
	layertar.SortChanges(w.changes)
	return w.changes, nil
}

type walk struct {
	upper   *os.Root
	stack   *Stack
	marks   Marks
	changes []layertar.Change
}

func (w *walk) note(kind layertar.Kind, name string) {
	w.changes = append(w.changes, layertar.Change{Kind: kind, Path: "/" + name})
}

// folder looks at one folder of the upper tree; below are the lower folders
// that would merge into it. cut says that it is, or lies in, an opaque folder:
// then they do not merge any more, and are only asked what is missing.
func (w *walk) folder(dir string, below dirs, cut bool) error {
	if cut {
		if err := w.hidden(dir, below); err != nil {
			return err
		}
	}
	entries, err := readDir(w.upper, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if w.marks.Own(e.Name()) {
			continue
		}
		if hidden, ok := w.marks.Whiteout(e); ok {
			err = w.deleted(dir, hidden, below)
		} else {
			err = w.entry(dir, e, below, cut)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleted notes a whiteout, unless nothing was there to delete.
func (w *walk) deleted(dir, base string, below dirs) error {
	exists, _, err := w.stack.lookup(below, dir, base)
	if exists {
		w.note(layertar.Deleted, path.Join(dir, base))
	}
	return err
}

func (w *walk) entry(dir string, e fs.FileInfo, below dirs, cut bool) error {
	name := path.Join(dir, e.Name())
	exists, sub, err := w.stack.lookup(below, dir, e.Name())
	if err != nil {
		return err
	}
	if exists {
		w.note(layertar.Changed, name)
	} else {
		w.note(layertar.Added, name)
	}
	if !e.IsDir() {
		return nil
	}
	opaque, err := w.marks.Opaque(w.upper, name)
	if err != nil {
		return err
	}
	return w.folder(name, sub, cut || opaque)
}

// hidden notes as deleted what an opaque folder hides and does not have itself.
func (w *walk) hidden(dir string, below dirs) error {
	names, err := w.stack.names(below, dir)
	if err != nil {
		return err
	}
	for name := range names {
		if _, err := w.upper.Lstat(path.Join(dir, name)); err != nil {
			w.note(layertar.Deleted, path.Join(dir, name))
		}
	}
	return nil
}

// WriteTar writes the folder upper as a layer tar, its marks as ".wh." names.
// The lower folders are not looked at: the upper one is the difference.
func WriteTar(out io.Writer, upper string, marks Marks) error {
	root, err := os.OpenRoot(upper)
	if err != nil {
		return fmt.Errorf("open upper folder: %w", err)
	}
	defer root.Close()
	lw, err := layertar.NewWriter(out, upper)
	if err != nil {
		return err
	}
	if err := writeFolder(lw, root, ".", marks); err != nil {
		lw.Close()
		return fmt.Errorf("diff of %s: %w", upper, err)
	}
	return lw.Close()
}

func writeFolder(lw *layertar.Writer, root *os.Root, dir string, marks Marks) error {
	entries, err := readDir(root, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if marks.Own(e.Name()) {
			continue
		}
		if err := writeEntry(lw, root, dir, e, marks); err != nil {
			return err
		}
	}
	return nil
}

func writeEntry(lw *layertar.Writer, root *os.Root, dir string, e fs.FileInfo, marks Marks) error {
	if hidden, ok := marks.Whiteout(e); ok {
		return lw.Whiteout(path.Join(dir, hidden))
	}
	name := path.Join(dir, e.Name())
	if err := lw.Add(name); err != nil || !e.IsDir() {
		return err
	}
	opaque, err := marks.Opaque(root, name)
	if err != nil {
		return err
	}
	if opaque {
		if err := lw.Opaque(name); err != nil {
			return err
		}
	}
	return writeFolder(lw, root, name, marks)
}

// Size sums the bytes of all in the folder upper that is not a folder, each
// inode once. Links count with the length of their target, as in Docker.
func Size(upper string) (int64, error) {
	var sum int64
	seen := make(map[uint64]bool)
	root, err := os.OpenRoot(upper)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*statT)
		if st.Nlink > 1 && seen[st.Ino] {
			return nil
		}
		seen[st.Ino] = true
		sum += st.Size
		return nil
	})
	return sum, err
}
