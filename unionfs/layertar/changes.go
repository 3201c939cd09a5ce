package layertar

import (
	"io"
	"strings"
)

// WriteChanges writes the changes of the tree root as a layer tar: what was
// added or changed as it is now, what was deleted as whiteouts. For drivers
// that find a layer's content by comparing two trees. The list must be sorted.
func WriteChanges(w io.Writer, root string, changes []Change) error {
	lw, err := NewWriter(w, root)
	if err != nil {
		return err
	}
	for _, c := range changes {
		name := strings.TrimPrefix(c.Path, "/")
		if c.Kind == Deleted {
			err = lw.Whiteout(name)
		} else {
			err = lw.Add(name)
		}
		if err != nil {
			lw.dirs.close()
			return err
		}
	}
	return lw.Close()
}
