package userland

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Programs that change modes and owners.

func runChmod(c *call) error {
	recurse := len(c.args) > 0 && c.args[0] == "-R"
	if recurse {
		c.args = c.args[1:] // by hand: "chmod -x f" has a mode, not an option
	}
	if len(c.args) < 2 {
		return errors.New("want [-R] MODE FILE")
	}
	return c.walk(c.args[1:], recurse, func(path string) error {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode, err := parseMode(c.args[0], fi.Mode())
		if err != nil {
			return err
		}
		return os.Chmod(path, mode)
	})
}

// walk acts on paths, with -R on all below them.
func (c *call) walk(paths []string, recurse bool, do func(path string) error) error {
	for _, root := range paths {
		if !recurse {
			c.complain(do(root))
			continue
		}
		c.complain(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&fs.ModeSymlink == 0 {
				err = do(path)
			}
			return err
		}))
	}
	return nil
}

func runChown(c *call) error {
	f := c.flags()
	recurse := f.BoolP("recursive", "R", false, "all below, too")
	if err := c.parse(f, 2); err != nil {
		return err
	}
	uid, gid, err := parseOwner(c.args[0])
	if err != nil {
		return err
	}
	return c.walk(c.args[1:], *recurse, func(path string) error { return os.Chown(path, uid, gid) })
}

// parseOwner reads USER, USER:GROUP or :GROUP, by name or number. -1 stays.
func parseOwner(text string) (uid, gid int, err error) {
	owner, group, _ := strings.Cut(text, ":")
	uid, gid = -1, -1
	if owner != "" {
		if uid, err = strconv.Atoi(owner); err != nil {
			u, err := user.Lookup(owner)
			if err != nil {
				return 0, 0, err
			}
			uid, _ = strconv.Atoi(u.Uid)
		}
	}
	if group != "" {
		if gid, err = strconv.Atoi(group); err != nil {
			g, err := user.LookupGroup(group)
			if err != nil {
				return 0, 0, err
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}
