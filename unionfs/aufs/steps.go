package aufs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// A change of the union is often several changes of a branch: to rename over a
// deleted name is a rename, a whiteout put and a whiteout taken away. A server
// killed in between would leave a half. So a change is planned as a list of
// steps; a list of more than one is first written down (the note) and the note
// taken away last. The next mount finds a note left behind and does the steps
// once more: each can be repeated. See recover.go.
//
// Steps that may fail for want of space come first in a list, and a step that
// fails has the ones before it undone.
type step struct {
	verb string
	path string
	to   string // of move
}

const (
	hide   = "hide"   // put the whiteout of path
	show   = "show"   // take the whiteout of path away
	opaque = "opaque" // put the opaque mark into the folder path
	move   = "move"   // rename path to to, replacing a file there
	drop   = "drop"   // remove path; a folder goes to the orphans, to be emptied
)

// noteName is in the orphan folder; a symlink, since making one is atomic and
// its target can hold the text.
const noteName = "cutaway.note"

// worker does steps in one branch.
type worker struct {
	b     *branch
	uid   int // owner of whiteouts that are files of their own
	gid   int
	trash []string // folders moved to the orphans, to be emptied afterwards
}

// commit does the steps, all or none. fs.tree is held for writing, so that
// there is one note at a time.
func (w *worker) commit(steps ...step) error {
	noted := len(steps) > 1 && w.note(steps)
	for i, s := range steps {
		if err := w.do(s); err != nil {
			for j := i - 1; j >= 0; j-- {
				w.undo(steps[j])
			}
			w.unnote(noted)
			return err
		}
	}
	w.unnote(noted)
	return nil
}

// note writes the steps down. Paths too long for one symlink are done without:
// better than refusing them.
func (w *worker) note(steps []step) bool {
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.verb+"\x01"+s.path+"\x01"+s.to)
	}
	text := strings.Join(lines, "\x02")
	return len(text) < unix.PathMax && unix.Symlinkat(text, w.b.orph, noteName) == nil
}

func (w *worker) unnote(noted bool) {
	if noted {
		unix.Unlinkat(w.b.orph, noteName, 0)
	}
}

func (w *worker) do(s step) error {
	switch s.verb {
	case hide:
		return w.putMark(whiteoutOf(s.path))
	case show:
		return ignoreMissing(unix.Unlinkat(w.b.fd, whiteoutOf(s.path), 0))
	case opaque:
		return w.putMark(joinPath(s.path, whOpaque))
	case move:
		return unix.Renameat(w.b.fd, s.path, w.b.fd, s.to)
	case drop:
		return w.drop(s.path)
	}
	return unix.EINVAL
}

// undo reverts a step. What drop removed is gone: it comes last in every list
// but for moves, which do not fail for want of space.
func (w *worker) undo(s step) {
	switch s.verb {
	case hide:
		unix.Unlinkat(w.b.fd, whiteoutOf(s.path), 0)
	case opaque:
		unix.Unlinkat(w.b.fd, joinPath(s.path, whOpaque), 0)
	case show:
		w.putMark(whiteoutOf(s.path))
	case move:
		unix.Renameat(w.b.fd, s.to, w.b.fd, s.path)
	}
}

// drop removes a file, or moves a folder (which may hold whiteouts) away in
// one go; a folder that is truly empty is just removed.
func (w *worker) drop(path string) error {
	err := unix.Unlinkat(w.b.fd, path, 0)
	if err != unix.EISDIR && err != unix.EPERM {
		return ignoreMissing(err)
	}
	if err = unix.Unlinkat(w.b.fd, path, unix.AT_REMOVEDIR); err != unix.ENOTEMPTY {
		return ignoreMissing(err)
	}
	name := tempName()
	if err := unix.Renameat(w.b.fd, path, w.b.orph, name); err != nil {
		return err
	}
	w.trash = append(w.trash, name)
	return nil
}

// sweep empties what drop moved away. Call it without locks.
func (w *worker) sweep() {
	for _, name := range w.trash {
		removeTree(w.b.orph, name)
	}
	w.trash = nil
}

func ignoreMissing(err error) error {
	if err == unix.ENOENT {
		return nil
	}
	return err
}
