package userland

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// into are the operands of cp, mv and ln: sources, and where each is to go.
func (c *call) into(do func(from, to string) error) error {
	last := c.args[len(c.args)-1]
	fi, err := os.Stat(last)
	folder := err == nil && fi.IsDir()
	if len(c.args) > 2 && !folder {
		return fmt.Errorf("%s: not a folder, and there are several sources", last)
	}
	for _, from := range c.args[:len(c.args)-1] {
		to := last
		if folder {
			to = filepath.Join(last, filepath.Base(from))
		}
		c.complain(do(from, to))
	}
	return nil
}

func runCp(c *call) error {
	f := c.flags()
	archive := f.BoolP("archive", "a", false, "folders too, and keep owner, mode, times and links")
	recurse := f.BoolP("recursive", "r", false, "folders too")
	keep := f.BoolP("preserve", "p", false, "keep owner, mode and times")
	if err := c.parse(f, 2); err != nil {
		return err
	}
	return c.into(func(from, to string) error { return copyTree(from, to, *recurse || *archive, *keep || *archive) })
}

func copyTree(from, to string, recurse, keep bool) error {
	if !recurse {
		fi, err := os.Stat(from)
		if err != nil {
			return err
		}
		if fi.IsDir() {
			return fmt.Errorf("%s: is a folder (-r not given)", from)
		}
		return copyOne(from, to, fi, keep)
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyOne(path, filepath.Join(to, below), fi, keep)
	})
}

func copyOne(from, to string, fi fs.FileInfo, keep bool) error {
	err := errors.New("neither file nor folder nor link")
	switch {
	case fi.IsDir():
		if err = os.Mkdir(to, fi.Mode().Perm()|0o700); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	case fi.Mode()&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(from); err == nil {
			err = os.Symlink(target, to)
		}
	case fi.Mode().IsRegular():
		err = copyFile(from, to, fi.Mode().Perm())
	}
	if err != nil {
		return err
	}
	if keep {
		return keepAttributes(to, fi)
	}
	return nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// keepAttributes sets the owner before the mode: a change of owner takes the
// set-user-id bit away.
func keepAttributes(path string, fi fs.FileInfo) error {
	st := fi.Sys().(*syscall.Stat_t)
	if err := os.Lchown(path, int(st.Uid), int(st.Gid)); err != nil || fi.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	return errors.Join(os.Chmod(path, fi.Mode()), os.Chtimes(path, time.Time{}, fi.ModTime()))
}

// runMv renames; on another file system it copies and then removes.
func runMv(c *call) error {
	f := c.flags()
	f.BoolP("force", "f", false, "")
	if err := c.parse(f, 2); err != nil {
		return err
	}
	return c.into(func(from, to string) error {
		err := os.Rename(from, to)
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
		if err := copyTree(from, to, true, true); err != nil {
			return err
		}
		return os.RemoveAll(from)
	})
}
