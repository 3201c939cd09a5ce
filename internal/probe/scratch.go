package probe

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Tests on the state folder happen inside one folder in it:
// .cutaway-probe-<pid>-<start time>, like the cgroups.
const scratchPrefix = "." + ownedPrefix

// makeScratch makes the folder, or returns "" where that is not allowed. Runs
// at the same time in one process get -1, -2 ... behind the name.
func makeScratch(state string) string {
	base := filepath.Join(state, "."+ownedName())
	for n := range 64 {
		dir := fmt.Sprintf("%s-%d", base, n)
		err := unix.Mkdir(dir, 0o700)
		if err == nil {
			return dir
		}
		if err != unix.EEXIST {
			break
		}
	}
	return ""
}

// removeScratch removes it, when the children, and with them all mounts on
// it, are gone.
func removeScratch(dir string) error {
	// overlayfs leaves a whiteout in a folder that nobody may enter, work/work;
	// root does not notice, an ordinary owner has to change the mode first.
	for _, holder := range []string{dir, filepath.Join(dir, "*")} {
		locked, _ := filepath.Glob(filepath.Join(holder, "work", "work"))
		for _, path := range locked {
			_ = unix.Chmod(path, 0o700)
		}
	}
	return os.RemoveAll(dir)
}

// sweepScratch removes the folders of runs that were killed.
func sweepScratch(state string) {
	left, _ := filepath.Glob(filepath.Join(state, scratchPrefix+"*"))
	for _, dir := range left {
		if abandoned(filepath.Base(dir)[1:]) {
			_ = removeScratch(dir)
		}
	}
}
