package aufs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// The names that AUFS reserves in a branch. Everything that starts with .wh.
// is invisible through the union; .wh..wh. marks the union's own belongings.
const (
	whPrefix  = ".wh."
	whOpaque  = ".wh..wh..opq" // two dots before opq: the prefix twice, then ".opq"
	whBase    = ".wh..wh.aufs" // whiteouts are hard links of this file
	whOrphan  = ".wh..wh.orph" // folder for half-made and orphaned objects
	whPlink   = ".wh..wh.plnk" // folder for pseudo-links
	whTempPre = ".wh..wh."     // temporary names beside the final one
)

// maxName is the longest name through the union. A whiteout of a name needs 4
// bytes more, a temporary whiteout of it 4+1+4 more again, and 255 is the limit
// of nearly every branch.
const maxName = 255 - 4 - 4 - 1 - 4

// isReserved tells whether name belongs to the union itself.
func isReserved(name string) bool { return strings.HasPrefix(name, whPrefix) }

// whiteoutOf is the path of the whiteout that hides path.
func whiteoutOf(path string) string {
	dir, name := splitPath(path)
	return joinPath(dir, whPrefix+name)
}

// checkName refuses what may not be looked up or made through the union:
// reserved names are EPERM even when nothing is there, so that nobody can forge
// a whiteout or learn about one.
func checkName(name string) error {
	if isReserved(name) {
		return unix.EPERM
	}
	if len(name) > maxName {
		return unix.ENAMETOOLONG
	}
	return nil
}

// Paths in a branch are relative to its root, which is ".".

func joinPath(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

func splitPath(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return ".", path
}
