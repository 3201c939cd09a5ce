package volumedemo

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

type inode struct{ dev, ino uint64 }

// treeSize counts the bytes of a tree as du --apparent-size -l would not: a file
// with several names once, and no other file system. A file that goes meanwhile
// is none.
func treeSize(root string) (int64, error) {
	var total int64
	seen := map[inode]bool{}
	var dev uint64
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		if path == root {
			dev = uint64(st.Dev)
		}
		id := inode{uint64(st.Dev), st.Ino}
		switch {
		case id.dev != dev && d.IsDir():
			return filepath.SkipDir
		case id.dev != dev || seen[id] || !d.Type().IsRegular():
			return nil
		}
		seen[id] = true
		total += info.Size()
		return nil
	})
	return total, err
}
