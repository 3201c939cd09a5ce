package aufs

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// recover cleans up what a killed server left in a rw branch: it finishes the
// change that the note tells of, and removes half-made copies. A lock on the
// orphan folder tells whether another union is using the branch right now;
// then nothing is touched.
func (b *branch) recover() error {
	if unix.Flock(b.orph, unix.LOCK_EX|unix.LOCK_NB) == nil {
		b.redo()
		b.clearOrphans()
	}
	return unix.Flock(b.orph, unix.LOCK_SH)
}

func (b *branch) redo() {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(b.orph, noteName, buf)
	if err != nil {
		return
	}
	w := &worker{b: b}
	steps := parseNote(string(buf[:n]))
	for i, s := range steps {
		if s.verb == drop && b.roomTaken(s.path, steps[i+1:]) {
			continue
		}
		// A step done before the kill fails now (nothing left to move): fine.
		w.do(s)
	}
	unix.Unlinkat(b.orph, noteName, 0)
}

// roomTaken tells whether the drop was to make room for a move that is done
// already: then path holds what was moved there, not what was to go.
func (b *branch) roomTaken(path string, later []step) bool {
	for _, s := range later {
		if s.verb == move && s.to == path {
			_, err := b.lstat(s.path)
			return err != nil
		}
	}
	return false
}

// parseNote reads a note. One that does not look like ours gives nothing.
func parseNote(text string) (steps []step) {
	for _, line := range strings.Split(text, "\x02") {
		f := strings.Split(line, "\x01")
		if len(f) != 3 || !insideBranch(f[1]) || !insideBranch(f[2]) {
			return nil
		}
		steps = append(steps, step{verb: f[0], path: f[1], to: f[2]})
	}
	return steps
}

// insideBranch refuses a note that leads out of the branch: an image layer
// could bring one along.
func insideBranch(path string) bool {
	if strings.HasPrefix(path, "/") {
		return false
	}
	for _, part := range strings.Split(path, "/") {
		if part == ".." {
			return false
		}
	}
	return true
}

func (b *branch) clearOrphans() {
	for _, name := range readNames(b.orph) {
		if strings.HasPrefix(name, tempPrefix) {
			removeTree(b.orph, name)
		}
	}
}

// readNames lists a folder given by descriptor, without moving its offset.
func readNames(dir int) []string {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "folder")
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return names
}

// removeTree removes name in dir and all below it, by descriptors, so that a
// symlink put there meanwhile is removed and not followed.
func removeTree(dir int, name string) {
	if unix.Unlinkat(dir, name, 0) == nil {
		return
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	for _, child := range readNames(fd) {
		removeTree(fd, child)
	}
	unix.Close(fd)
	unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
