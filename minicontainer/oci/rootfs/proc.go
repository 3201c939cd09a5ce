package rootfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Proc is the host's procfs, opened before the container mounted anything.
// What the container puts over /proc later is not seen through it.
type Proc struct {
	dir *os.File
}

// OpenProc opens a procfs and makes sure that it is one (statfs(2)).
func OpenProc(path string) (*Proc, error) {
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		dir.Close()
		return nil, fmt.Errorf("%s is not a procfs (type %#x, %v)", path, fs.Type, err)
	}
	return &Proc{dir}, nil
}

// File is its folder, for who passes it on or begins a lookup there.
func (p *Proc) File() *os.File { return p.dir }

// How is the lookup of a file to write to, such as sys/net/ipv4/ip_forward
// (openat2(2)). RESOLVE_NO_XDEV refuses a file that something else was mounted
// over, so that a value cannot be redirected to where the container wants it.
func (p *Proc) How() unix.OpenHow {
	return unix.OpenHow{
		Flags:   unix.O_WRONLY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	}
}

// Write writes one value to a file that How finds.
func (p *Proc) Write(path, value string) error {
	how := p.How()
	fd, err := unix.Openat2(int(p.dir.Fd()), path, &how)
	if err != nil {
		return &os.PathError{Op: "openat2", Path: "/proc/" + path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return fmt.Errorf("write %q to /proc/%s: %w", value, path, err)
	}
	return nil
}

// place names what a descriptor refers to, as the host's procfs says.
func (p *Proc) place(f *os.File) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(p.dir.Fd()), fmt.Sprintf("self/fd/%d", f.Fd()), buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: f.Name(), Err: err}
	}
	return string(buf[:n]), nil
}

// isProcfs says whether an opened place lies in any procfs (fstatfs(2)).
func isProcfs(f *os.File) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC
}
