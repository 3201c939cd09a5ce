package userland

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Programs that change the file tree.

func runRm(c *call) error {
	f := c.flags()
	recurse := f.BoolP("recursive", "r", false, "folders with all that is in them")
	force := f.BoolP("force", "f", false, "what is not there is no error")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	for _, path := range c.args {
		if *recurse && filepath.Clean(path) == "/" {
			return errors.New("refusing to remove /")
		}
		fi, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && *force:
		case err != nil:
			c.complain(err)
		case fi.IsDir() && !*recurse:
			c.complain(&fs.PathError{Path: path, Err: unix.EISDIR})
		case *recurse:
			c.complain(os.RemoveAll(path))
		default:
			c.complain(os.Remove(path))
		}
	}
	return nil
}

func runMkdir(c *call) error {
	f := c.flags()
	parents := f.BoolP("parents", "p", false, "those above too; one that is there is no error")
	mode := f.StringP("mode", "m", "777", "permission bits")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	bits, err := parseMode(*mode, 0)
	if err != nil {
		return err
	}
	for _, path := range c.args {
		if *parents {
			c.complain(os.MkdirAll(path, bits))
		} else {
			c.complain(os.Mkdir(path, bits))
		}
	}
	return nil
}

func runRmdir(c *call) error {
	if err := c.parse(c.flags(), 1); err != nil {
		return err
	}
	for _, path := range c.args {
		if err := unix.Rmdir(path); err != nil {
			c.complain(&fs.PathError{Path: path, Err: err})
		}
	}
	return nil
}

func runLn(c *call) error {
	f := c.flags()
	symbolic := f.BoolP("symbolic", "s", false, "a link by name")
	force := f.BoolP("force", "f", false, "replace what is there")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	if len(c.args) == 1 {
		c.args = append(c.args, ".")
	}
	return c.into(func(from, to string) error {
		if *force {
			if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if *symbolic {
			return os.Symlink(from, to)
		}
		return os.Link(from, to)
	})
}

func runTouch(c *call) error {
	if err := c.parse(c.flags(), 1); err != nil {
		return err
	}
	for _, path := range c.args {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
		if err == nil {
			f.Close()
		}
		if err == nil || errors.Is(err, unix.EISDIR) {
			now := time.Now()
			err = os.Chtimes(path, now, now)
		}
		c.complain(err)
	}
	return nil
}

func runReadlink(c *call) error {
	f := c.flags()
	whole := f.BoolP("canonicalize", "f", false, "follow every link, to the whole path")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	for _, path := range c.args {
		read := os.Readlink
		if *whole {
			read = func(p string) (string, error) {
				abs, err := filepath.Abs(p)
				if err != nil {
					return "", err
				}
				return filepath.EvalSymlinks(abs)
			}
		}
		target, err := read(path)
		if err != nil {
			c.failed = true // readlink says nothing: scripts ask it whether
			continue
		}
		fmt.Fprintln(c.out, target)
	}
	return nil
}

func runMktemp(c *call) error {
	f := c.flags()
	folder := f.BoolP("directory", "d", false, "a folder")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	dir, base := os.TempDir(), "tmp.*"
	if len(c.args) > 0 {
		dir, base = filepath.Dir(c.args[0]), strings.TrimRight(filepath.Base(c.args[0]), "X")+"*"
	}
	if *folder {
		name, err := os.MkdirTemp(dir, base)
		if err == nil {
			fmt.Fprintln(c.out, name)
		}
		return err
	}
	file, err := os.CreateTemp(dir, base)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, file.Name())
	return file.Close()
}
