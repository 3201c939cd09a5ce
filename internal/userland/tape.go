package userland

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// taper is tar with its options.
type taper struct {
	c                     *call
	create, extract, list bool
	zip, verbose          bool
	file, folder          string
}

func runTar(c *call) error {
	if len(c.args) > 0 && c.args[0] != "" && c.args[0][0] != '-' {
		c.args[0] = "-" + c.args[0] // "tar xzf", the old form
	}
	t := taper{c: c}
	f := c.flags()
	f.BoolVarP(&t.create, "create", "c", false, "make an archive")
	f.BoolVarP(&t.extract, "extract", "x", false, "unpack an archive")
	f.BoolVarP(&t.list, "list", "t", false, "list an archive")
	f.BoolVarP(&t.zip, "gzip", "z", false, "through gzip")
	f.BoolVarP(&t.verbose, "verbose", "v", false, "name each entry")
	f.StringVarP(&t.file, "file", "f", "-", "the archive; - is standard input or output")
	f.StringVarP(&t.folder, "directory", "C", ".", "in this folder")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	switch {
	case t.create && !t.extract && !t.list:
		return t.write()
	case t.extract != t.list && !t.create:
		return t.read()
	}
	return errors.New("want one of -c, -x, -t")
}

func (t taper) write() (err error) {
	out := t.c.out
	if t.file != "-" {
		f, err := os.Create(t.file)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	if t.zip {
		zip := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, zip.Close()) }()
		out = zip
	}
	if len(t.c.args) == 0 {
		return errors.New("refusing to make an empty archive")
	}
	tw := tar.NewWriter(out)
	for _, name := range t.c.args {
		root := filepath.Join(t.folder, name)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			below, err := filepath.Rel(t.folder, path)
			if err != nil {
				return err
			}
			return t.add(tw, path, below, d)
		})
		if err != nil {
			return err
		}
	}
	return tw.Close()
}

func (t taper) add(tw *tar.Writer, path, name string, d fs.DirEntry) error {
	fi, err := d.Info()
	if err != nil || fi.Mode()&fs.ModeSocket != 0 {
		return err
	}
	link := ""
	if fi.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(fi, link)
	if err != nil {
		return err
	}
	if h.Name = name; fi.IsDir() {
		h.Name += "/"
	}
	t.say(h.Name)
	if err := tw.WriteHeader(h); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}

// say names an entry where it does not get into the archive.
func (t taper) say(name string) {
	if t.verbose && t.create && t.file == "-" {
		fmt.Fprintln(t.c.err, name)
	} else if t.verbose || t.list {
		fmt.Fprintln(t.c.out, name)
	}
}

func (t taper) read() error {
	in := t.c.in
	if t.file != "-" {
		f, err := os.Open(t.file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	if t.zip || strings.HasSuffix(t.file, "gz") {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = zip
	}
	root, err := os.OpenRoot(t.folder) // a name with ".." or a link leads nowhere outside
	if err != nil {
		return err
	}
	defer root.Close()
	tr := tar.NewReader(in)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		t.say(h.Name)
		if t.extract {
			t.c.complain(unpack(root, h, tr))
		}
	}
}

func unpack(root *os.Root, h *tar.Header, content io.Reader) error {
	name := strings.TrimLeft(filepath.Clean("/"+h.Name), "/")
	if name == "" {
		return nil
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := h.FileInfo().Mode()
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		if err = root.Mkdir(name, mode.Perm()); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(strings.TrimLeft(h.Linkname, "/"), name)
	case tar.TypeReg:
		err = writeInto(root, name, content)
	default:
		return fmt.Errorf("%s: neither file nor folder nor link: left out", h.Name)
	}
	if err != nil {
		return err
	}
	if err := root.Lchown(name, h.Uid, h.Gid); err != nil && !errors.Is(err, syscall.EPERM) {
		return err
	}
	return errors.Join(root.Chmod(name, mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)), root.Chtimes(name, h.ModTime, h.ModTime))
}

func writeInto(root *os.Root, name string, content io.Reader) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
