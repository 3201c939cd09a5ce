package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/volumedemo"
)

func (p *program) containerCp() *cobra.Command {
	var archive, follow bool
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tcutaway cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
		Short: "Copy files/folders between a container and the local filesystem",
		Args:  exactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			from, fromPath := splitPlace(args[0])
			to, toPath := splitPlace(args[1])
			c := copying{p: p, archive: archive, follow: follow}
			return p.withEngine(func(e api.Backend) error {
				c.e = e
				switch {
				case from != "" && to != "":
					return errors.New("copying between containers is not supported")
				case from != "":
					return c.out(from, fromPath, toPath)
				case to != "":
					return c.in(fromPath, to, toPath)
				}
				return errors.New("must specify at least one container source")
			})
		},
	})
	cmd.Flags().BoolVarP(&archive, "archive", "a", false, "archive mode (copy all uid/gid information)")
	cmd.Flags().BoolVarP(&follow, "follow-link", "L", false, "always follow symbol link in SRC_PATH")
	return cmd
}

// splitPlace parts CONTAINER:PATH. A path of here begins with "/" or ".", or has
// no colon.
func splitPlace(text string) (container, path string) {
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") {
		return "", text
	}
	container, path, found := strings.Cut(text, ":")
	if !found {
		return "", text
	}
	return container, path
}

// copying is one cp. A tar goes from one side to the other; only the names at
// its top depend on whether the destination exists.
type copying struct {
	p               *program
	e               api.Backend
	archive, follow bool
}

// place is a destination: a folder to unpack in, and the name that the source
// gets there; "" keeps its contents without itself.
type place struct{ dir, name string }

// placeFor has the rules of cp: into an existing folder under the old name, else
// under the new name beside. ends says what the destination is: nil for not there.
func placeFor(src, dst string, srcDir bool, there folderOrFile) (place, error) {
	contents := strings.HasSuffix(src, "/.")
	if there != nil && there.IsDir() {
		if contents {
			return place{dst, ""}, nil
		}
		return place{dst, path.Base(path.Clean(src))}, nil
	}
	switch {
	case there != nil && srcDir:
		return place{}, errors.New("cannot copy directory")
	case strings.HasSuffix(dst, "/") && !srcDir:
		return place{}, errors.New("no such directory")
	}
	clean := path.Clean(dst)
	return place{path.Dir(clean), path.Base(clean)}, nil
}

// out copies from a container.
func (c *copying) out(ref, src, dst string) error {
	st, err := c.e.StatPath(ref, src)
	if err != nil {
		return err
	}
	if st.Mode&fs.ModeSymlink != 0 && (c.follow || strings.HasSuffix(src, "/")) {
		src = followed(src, st.LinkTarget)
		if st, err = c.e.StatPath(ref, src); err != nil {
			return err
		}
	}
	if dst == "-" {
		return c.e.CopyFrom(ref, src, c.p.out)
	}
	var there folderOrFile
	info, err := os.Stat(dst)
	if err == nil {
		there = info
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to, err := placeFor(src, dst, st.Mode.IsDir(), there)
	if err != nil {
		return fmt.Errorf("%w: %s", err, dst)
	}
	root, err := os.OpenRoot(to.dir)
	if err != nil {
		return fmt.Errorf("invalid output path: directory %q does not exist", to.dir)
	}
	defer root.Close()
	return through(func(w io.Writer) error { return c.e.CopyFrom(ref, src, w) },
		func(r io.Reader) error { return volumedemo.Unpack(root, r) },
		c.filter(st.Name, to.name, os.Getuid(), os.Getgid()))
}

// followed is where a link leads, seen from its folder.
func followed(link, target string) string {
	if path.IsAbs(target) {
		return target
	}
	return path.Join(path.Dir(path.Clean(link)), target)
}

// in copies into a container.
func (c *copying) in(src, ref, dst string) error {
	var there folderOrFile
	st, err := c.e.StatPath(ref, dst)
	for hops := 0; err == nil && st.Mode&fs.ModeSymlink != 0 && hops < 40; hops++ {
		dst = followed(dst, st.LinkTarget)
		st, err = c.e.StatPath(ref, dst)
	}
	if err == nil {
		there = statInfo{st}
	} else if gone := (*minicontainer.NoPath)(nil); !errors.As(err, &gone) {
		return err
	}
	if src == "-" {
		if there == nil || !there.IsDir() {
			return fmt.Errorf("destination \"%s:%s\" must be a directory", ref, dst)
		}
		return c.e.CopyTo(ref, dst, c.p.in)
	}
	info, err := os.Lstat(src)
	if err == nil && c.follow {
		info, err = os.Stat(src)
	}
	if err != nil {
		return err
	}
	local := src
	if c.follow {
		if local, err = filepath.EvalSymlinks(src); err != nil {
			return err
		}
	}
	if local, err = filepath.Abs(local); err != nil {
		return err
	}
	to, err := placeFor(src, dst, info.IsDir(), there)
	if err != nil {
		return fmt.Errorf("%w: %s:%s", err, ref, dst)
	}
	return through(func(w io.Writer) error { return minicontainer.WriteTree(w, filepath.Dir(local), filepath.Base(local)) },
		func(r io.Reader) error { return c.e.CopyTo(ref, to.dir, r) },
		c.filter(filepath.Base(local), to.name, 0, 0))
}

// folderOrFile is all that matters of a destination that is there.
type folderOrFile interface{ IsDir() bool }

// statInfo makes a container's file comparable with one of here.
type statInfo struct{ st minicontainer.PathStat }

func (s statInfo) IsDir() bool { return s.st.Mode.IsDir() }

// filter renames the top of the tar, and gives all to one owner unless the
// owners are to be kept.
func (c *copying) filter(from, to string, uid, gid int) func(*tar.Header) bool {
	rename := func(name string) (string, bool) {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
		rest := strings.TrimPrefix(strings.TrimPrefix(name, from), "/")
		if to == "" && rest == "" {
			return "", false // the folder itself stays out
		}
		return path.Join(to, rest), true
	}
	return func(h *tar.Header) bool {
		name, keep := rename(h.Name)
		if h.Typeflag == tar.TypeDir {
			name += "/"
		}
		h.Name = name
		if h.Typeflag == tar.TypeLink {
			h.Linkname, _ = rename(h.Linkname)
		}
		if !c.archive {
			h.Uid, h.Gid, h.Uname, h.Gname = uid, gid, "", ""
		}
		return keep
	}
}

// through runs a writer and a reader of tars against each other, with change
// made to every header on the way.
func through(write func(io.Writer) error, read func(io.Reader) error, change func(*tar.Header) bool) error {
	raw, rawIn := io.Pipe()
	changed, changedIn := io.Pipe()
	errs := make(chan error, 2)
	go func() {
		err := write(rawIn)
		rawIn.CloseWithError(err)
		errs <- err
	}()
	go func() {
		err := rewrite(changedIn, raw, change)
		changedIn.CloseWithError(err)
		raw.CloseWithError(err)
		errs <- err
	}()
	err := read(changed)
	changed.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	if first := <-errs; err == nil {
		err = first
	}
	return err
}

func rewrite(w io.Writer, r io.Reader, change func(*tar.Header) bool) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if !change(h) {
			continue
		}
		h.Format = tar.FormatPAX
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}
