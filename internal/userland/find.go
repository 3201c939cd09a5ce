package userland

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// runFind knows -name, -type, -maxdepth, -inum, -xdev, -print and -delete.
func runFind(c *call) error {
	var roots []string
	for len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		roots, c.args = append(roots, c.args[0]), c.args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	q, err := parseFind(c.args)
	if err != nil {
		return err
	}
	for _, root := range roots {
		c.complain(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				c.complain(err)
				return nil
			}
			return q.visit(c, root, path, d)
		}))
	}
	return nil
}

// query is what find looks for. Zero values ask nothing.
type query struct {
	name, kind string
	inode      uint64
	depth      int // -1 for any
	sameFS     bool
	remove     bool
	device     uint64
}

func parseFind(args []string) (query, error) {
	q := query{depth: -1}
	for i := 0; i < len(args); i++ {
		word, value := args[i], ""
		switch word {
		case "-print":
			continue
		case "-xdev":
			q.sameFS = true
			continue
		case "-delete":
			q.remove = true
			continue
		}
		if i++; i < len(args) {
			value = args[i]
		}
		var err error
		switch word {
		case "-name":
			q.name = value
			_, err = filepath.Match(value, "")
		case "-type":
			q.kind = value
		case "-inum":
			q.inode, err = strconv.ParseUint(value, 10, 64)
		case "-maxdepth":
			q.depth, err = strconv.Atoi(value)
		default:
			return q, fmt.Errorf("%s: want -name, -type, -inum, -maxdepth, -xdev, -print or -delete", word)
		}
		if err != nil || value == "" {
			return q, fmt.Errorf("%s %q: no such value", word, value)
		}
	}
	return q, nil
}

func (q *query) visit(c *call, root, path string, d fs.DirEntry) error {
	fi, err := d.Info()
	if err != nil {
		c.complain(err)
		return nil
	}
	st := fi.Sys().(*syscall.Stat_t)
	if path == root {
		q.device = uint64(st.Dev)
	}
	if q.sameFS && uint64(st.Dev) != q.device {
		return fs.SkipDir
	}
	if q.matches(path, fi, st) {
		if q.remove {
			c.complain(os.Remove(path))
		} else if _, err := fmt.Fprintln(c.out, path); err != nil {
			return err
		}
	}
	below := strings.Count(strings.TrimPrefix(path, root), "/")
	if d.IsDir() && q.depth >= 0 && below >= q.depth {
		return fs.SkipDir
	}
	return nil
}

func (q *query) matches(path string, fi fs.FileInfo, st *syscall.Stat_t) bool {
	if ok, _ := filepath.Match(q.name, filepath.Base(path)); q.name != "" && !ok {
		return false
	}
	kind := map[string]string{"-": "f"}[modeText(fi.Mode())[:1]]
	if kind == "" {
		kind = modeText(fi.Mode())[:1]
	}
	return (q.kind == "" || q.kind == kind) && (q.inode == 0 || q.inode == st.Ino)
}
