package minicontainer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/unionfs/layertar"
	"cutaway/volumedemo"
)

// PathStat is a file in a container.
type PathStat struct {
	Name       string
	Size       int64
	Mode       fs.FileMode
	LinkTarget string // a symbolic link's
}

// A view is a container's file tree as its processes see it, or would.
type view struct {
	root  *os.File
	close func() error
}

// view opens a container's tree: through its process while it runs, which sees
// volumes and tmpfs too; else by mounting its layers.
func (e *Engine) view(c *Container) (*view, error) {
	if c.State.Running && c.State.Pid > 0 {
		root, err := os.OpenFile(fmt.Sprintf("/proc/%d/root", c.State.Pid), unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, err
		}
		return &view{root, root.Close}, nil
	}
	m, err := e.Images.MountRoot(c.ID)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenFile(m.Path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, errors.Join(err, m.Release())
	}
	return &view{root, func() error { return errors.Join(root.Close(), m.Release()) }}, nil
}

// open opens a path as a process in the container would: links are followed,
// but never out of the root (openat2(2), RESOLVE_IN_ROOT). The container's own
// processes may change the tree at the same moment; only the kernel can look
// and open in one step.
func (v *view) open(name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(int(v.root.Fd()), path.Clean("/"+name), &how) // "/" is the root that was opened
	if err != nil {
		return nil, &os.PathError{Op: "openat2 in the container", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// within opens the tree of a container, or, where the path lies on a volume of
// one that does not run, the volume.
func (e *Engine) within(ref, name string, do func(v *view, name string) error) (err error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	v, err := e.view(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if !c.State.Running {
		for _, p := range c.MountPoints {
			below, is := strings.CutPrefix(path.Clean("/"+name)+"/", p.Destination+"/")
			if !is || p.Source == "" {
				continue
			}
			root, err := os.OpenFile(p.Source, unix.O_PATH|unix.O_DIRECTORY, 0)
			if err != nil {
				return err
			}
			defer root.Close()
			return do(&view{root: root}, below)
		}
	}
	return do(v, name)
}

// StatPath looks at a file in a container. The last component is not followed.
func (e *Engine) StatPath(ref, name string) (st PathStat, err error) {
	err = e.within(ref, name, func(v *view, name string) error {
		f, err := v.open(name, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			return &NoPath{Ref: ref, Path: name, Err: err}
		}
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		st = PathStat{Name: path.Base(path.Clean("/" + name)), Size: info.Size(), Mode: info.Mode()}
		if info.Mode()&fs.ModeSymlink != 0 {
			buf := make([]byte, unix.PathMax)
			n, err := unix.Readlinkat(int(f.Fd()), "", buf)
			st.LinkTarget = string(buf[:max(n, 0)])
			return err
		}
		return nil
	})
	return st, err
}

// NoPath says that a container has no such file.
type NoPath struct {
	Ref, Path string
	Err       error
}

func (e *NoPath) Error() string {
	return "Could not find the file " + e.Path + " in container " + e.Ref
}

func (e *NoPath) Unwrap() error { return e.Err }

// CopyFrom writes a file or folder of a container as a tar, whose names begin
// with the last component of the path.
func (e *Engine) CopyFrom(ref, name string, w io.Writer) error {
	return e.within(ref, name, func(v *view, name string) error {
		clean := path.Clean("/" + name)
		dir, err := v.open(path.Dir(clean), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return &NoPath{Ref: ref, Path: name, Err: err}
		}
		defer dir.Close()
		base := path.Base(clean)
		if clean == "/" {
			base = "."
		}
		return WriteTree(w, fdPath(dir)+"/.", base)
	})
}

// WriteTree writes dir/base, and what is below it, as a tar with the names
// base/...; folders before what is in them.
func WriteTree(w io.Writer, dir, base string) (err error) {
	t, err := layertar.NewWriter(w, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	return filepath.WalkDir(filepath.Join(dir, base), func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return t.Add(name)
	})
}

// CopyTo unpacks a tar into a folder of a container.
func (e *Engine) CopyTo(ref, name string, tar io.Reader) error {
	return e.within(ref, name, func(v *view, name string) error {
		dir, err := v.open(name, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return &NoPath{Ref: ref, Path: name, Err: err}
		}
		defer dir.Close()
		root, err := os.OpenRoot(fdPath(dir) + "/.")
		if err != nil {
			return err
		}
		defer root.Close()
		return volumedemo.Unpack(root, tar)
	})
}
