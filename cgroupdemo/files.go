package cgroupdemo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ControlFile is one file that the kernel put into a group's directory.
type ControlFile struct {
	Reading[string] // the first kilobyte of what it says; Err for those that can only be written
	Name            string
	Mode            fs.FileMode
	Meaning         string // one line; "" for files that no lab uses
}

// Files lists every control file of the group, directory by directory, with
// what it says and what it means.
func (g *Group) Files() ([]ControlFile, error) {
	var list []ControlFile
	for _, dir := range g.dirs() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("files of group %s: %w", g.Config.Name, err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || e.IsDir() {
				continue // a child group, or a file that left with its controller
			}
			list = append(list, ControlFile{beginning(dir, e.Name(), info.Mode()), e.Name(), info.Mode(), Meaning(e.Name())})
		}
	}
	return list, nil
}

// beginning bounds what is read: memory.numa_stat and its like run to pages.
func beginning(dir, name string, mode fs.FileMode) Reading[string] {
	path := filepath.Join(dir, name)
	if mode&0o444 == 0 {
		return Reading[string]{Path: path, Err: fmt.Errorf("%s cannot be read, only written: %w", path, fs.ErrPermission)}
	}
	f, err := os.Open(path)
	if err != nil {
		return Reading[string]{Path: path, Err: err}
	}
	defer f.Close()
	buf := make([]byte, 1024)
	n, err := io.ReadFull(f, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return Reading[string]{strings.TrimRight(string(buf[:n]), "\n"), path, err}
}

// Meaning is one line on what a control file is for; "" if no lab needs it.
// Files with a page size in the name (hugetlb.2MB.max) are found without it.
func Meaning(file string) string {
	if parts := strings.Split(file, "."); parts[0] == "hugetlb" && len(parts) > 2 {
		file = "hugetlb." + strings.Join(parts[2:], ".")
	}
	return meanings()[file]
}
