package nsdemo

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// FileInfo is what stat(2) tells. Ids are those of the reader's user namespace,
// the overflow ids where they have no name in it.
type FileInfo struct {
	Path       string
	Dev, Inode uint64
	Mode       os.FileMode
	UID, GID   int
	Size       int64
}

// Usage is what statfs(2) tells, and df(1) prints. All in bytes.
type Usage struct {
	Path              string
	Type              int64 // the magic number, statfs(2)
	Size, Used, Avail int64
}

type fileRequest struct {
	Path, Text string
	Mode       os.FileMode
}

var (
	askStat   = verb("ns.stat", func(_ context.Context, r fileRequest) (FileInfo, error) { return Stat(r.Path) })
	askStatfs = verb("ns.statfs", func(_ context.Context, r fileRequest) (Usage, error) { return Statfs(r.Path) })
	askRead   = verb("ns.read", func(_ context.Context, r fileRequest) (string, error) {
		text, err := os.ReadFile(r.Path)
		return string(text), err
	})
	askList  = verb("ns.list", func(_ context.Context, r fileRequest) ([]string, error) { return list(r.Path) })
	askWrite = verb("ns.write", nothing(func(r fileRequest) error { return os.WriteFile(r.Path, []byte(r.Text), r.Mode) }))
	askMkdir = verb("ns.mkdir", nothing(func(r fileRequest) error { return os.Mkdir(r.Path, r.Mode) }))
)

// Stat calls lstat(2) inside.
func (p *Process) Stat(ctx context.Context, path string) (FileInfo, error) {
	return askStat(ctx, p, fileRequest{Path: path})
}

// Stat calls lstat(2) outside, for the same rows side by side.
func Stat(path string) (FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return FileInfo{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return FileInfo{Path: path, Dev: uint64(st.Dev), Inode: st.Ino, Mode: info.Mode(),
		UID: int(st.Uid), GID: int(st.Gid), Size: st.Size}, nil
}

// Statfs calls statfs(2) inside.
func (p *Process) Statfs(ctx context.Context, path string) (Usage, error) {
	return askStatfs(ctx, p, fileRequest{Path: path})
}

// Statfs calls statfs(2) outside.
func Statfs(path string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Usage{}, fmt.Errorf("statfs(%q): %w", path, err)
	}
	unit := int64(st.Bsize)
	return Usage{Path: path, Type: int64(st.Type), Size: int64(st.Blocks) * unit,
		Used: int64(st.Blocks-st.Bfree) * unit, Avail: int64(st.Bavail) * unit}, nil
}

// ReadFile reads a file inside, whole: open(2), read(2).
func (p *Process) ReadFile(ctx context.Context, path string) (string, error) {
	return askRead(ctx, p, fileRequest{Path: path})
}

// WriteFile writes a file inside, and makes it where it is not: open(2) with
// O_CREAT|O_TRUNC, write(2).
func (p *Process) WriteFile(ctx context.Context, path, text string, mode os.FileMode) error {
	_, err := askWrite(ctx, p, fileRequest{Path: path, Text: text, Mode: mode})
	return err
}

// Mkdir makes a folder inside: mkdir(2).
func (p *Process) Mkdir(ctx context.Context, path string, mode os.FileMode) error {
	_, err := askMkdir(ctx, p, fileRequest{Path: path, Mode: mode})
	return err
}

// List lists the names in a folder inside, sorted: getdents64(2).
func (p *Process) List(ctx context.Context, dir string) ([]string, error) {
	return askList(ctx, p, fileRequest{Path: dir})
}

func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
