package rootfs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the container's tree, held open by its topmost folder.
type Root struct {
	dir *os.File // the mount that becomes "/"
}

// Close lets go of it: as long as it is open, its file system stays in use.
func (r *Root) Close() error { return r.dir.Close() }

// insideRoot keeps a lookup below the root, whatever symlinks say. Links such
// as /proc/PID/root jump anywhere without being symlinks: they are refused.
const insideRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// Open opens a path below the root (openat2(2), RESOLVE_IN_ROOT).
// The descriptor is closed at exec.
func (r *Root) Open(path string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: insideRoot}
	for {
		fd, err := unix.Openat2(int(r.dir.Fd()), relative(path), &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path), nil
		case unix.EAGAIN, unix.EINTR:
			continue // a rename or mount happened during the walk: the kernel asks for another try
		}
		return nil, &os.PathError{Op: "openat2 in the container's root", Path: path, Err: err}
	}
}

// maxLinks is the kernel's own bound on symlinks in one walk.
const maxLinks = 40

// MkdirAll makes the folders of a path that do not exist yet, mode 0755, and
// opens the last one. A symlink to what does not exist yet is followed inside
// the root, as images do have /var/run -> /run without a /run.
func (r *Root) MkdirAll(path string) (*os.File, error) {
	if f, err := r.Open(path, unix.O_PATH); err == nil {
		return f, nil // the usual case, in one system call
	} else if !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	done, ahead, links := "", split(path), 0
	if last := len(ahead) - 1; last >= 0 && ahead[last] != ".." {
		// Mostly it is the last one alone that is missing.
		if target, err := r.step(strings.Join(ahead[:last], "/"), ahead[last]); err == nil && target == "" {
			return r.Open(path, unix.O_PATH)
		}
	}
	for len(ahead) > 0 {
		name := ahead[0]
		ahead = ahead[1:]
		if name == ".." {
			done = parent(done)
			continue
		}
		target, err := r.step(done, name)
		if err != nil {
			return nil, err
		}
		if target == "" {
			done += "/" + name
			continue
		}
		if links++; links > maxLinks {
			return nil, &os.PathError{Op: "mkdir", Path: path, Err: unix.ELOOP}
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		ahead = append(split(target), ahead...)
	}
	return r.Open(done, unix.O_PATH)
}

// step makes one folder where nothing is, and returns the target of a symlink.
func (r *Root) step(done, name string) (target string, err error) {
	dir, err := r.Open(done, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	err = unix.Mkdirat(int(dir.Fd()), name, 0o755)
	if err == nil {
		return "", nil
	}
	if err != unix.EEXIST {
		return "", &os.PathError{Op: "mkdir", Path: done + "/" + name, Err: err}
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err == unix.EINVAL {
		return "", nil // it exists and is no symlink
	}
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: done + "/" + name, Err: err}
	}
	return string(buf[:n]), nil
}

// CreateFile opens a path, and makes an empty file there if nothing is.
func (r *Root) CreateFile(path string) (*os.File, error) {
	f, err := r.Open(path, unix.O_PATH)
	if !errors.Is(err, unix.ENOENT) {
		return f, err
	}
	dir, name, err := r.openParent(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	// O_EXCL: a symlink that appears now is an error, not a way out.
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o755)
	if err != nil && err != unix.EEXIST {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	unix.Close(fd)
	return r.Open(path, unix.O_PATH)
}

// openParent opens the folder that holds path, making it if needed.
func (r *Root) openParent(path string) (*os.File, string, error) {
	parts := split(path)
	if len(parts) == 0 {
		return nil, "", fmt.Errorf("%q names the root itself", path)
	}
	last := len(parts) - 1
	dir, err := r.MkdirAll(strings.Join(parts[:last], "/"))
	return dir, parts[last], err
}

// relative makes a path one that openat2 takes from the descriptor.
func relative(path string) string {
	if path = strings.TrimLeft(path, "/"); path == "" {
		return "."
	}
	return path
}

func split(path string) []string {
	var parts []string
	for _, p := range strings.Split(path, "/") {
		if p != "" && p != "." {
			parts = append(parts, p)
		}
	}
	return parts
}

func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '/'), 0)]
}
