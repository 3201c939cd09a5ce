package aufs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// The shapes in which the records tell of objects.

var nodeKinds = map[string]uint32{
	"fifo": unix.S_IFIFO, "sock": unix.S_IFSOCK, "chr": unix.S_IFCHR, "blk": unix.S_IFBLK, "file": unix.S_IFREG,
}

var renameFlags = map[string]uint{"EXCHANGE": unix.RENAME_EXCHANGE, "NOREPLACE": unix.RENAME_NOREPLACE}

func kindName(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "dir"
	case unix.S_IFLNK:
		return "symlink"
	case 0:
		return "unknown"
	}
	for name, kind := range nodeKinds {
		if kind == mode&unix.S_IFMT {
			return name
		}
	}
	return "?"
}

func octal(s string, otherwise uint32) uint32 {
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 8, 32)
	must(err)
	return uint32(n)
}

func deviceNumber(s string) int {
	major, minor, _ := strings.Cut(s, ":")
	x, _ := strconv.Atoi(major)
	y, _ := strconv.Atoi(minor)
	return int(unix.Mkdev(uint32(x), uint32(y)))
}

func fillData(data string, fill int64) []byte {
	if fill == 0 {
		return []byte(data)
	}
	return []byte(strings.Repeat("0123456789abcdef", int(fill)/16+1)[:fill])
}

func xattrBytes(s string) []byte {
	if text, ok := strings.CutPrefix(s, "0x"); ok {
		b, err := hex.DecodeString(text)
		must(err)
		return b
	}
	return []byte(s)
}

func xattrText(v []byte) string {
	for _, c := range v {
		if c < ' ' || c > '~' {
			return "0x" + hex.EncodeToString(v)
		}
	}
	return string(v)
}

func sorted(names []string) []string {
	out := append([]string{}, names...)
	sort.Strings(out)
	return out
}

func openFlags(s string) (flags int) {
	all := map[string]int{
		"RDONLY": unix.O_RDONLY, "WRONLY": unix.O_WRONLY, "RDWR": unix.O_RDWR, "CREAT": unix.O_CREAT, "TRUNC": unix.O_TRUNC,
		"DIRECTORY": unix.O_DIRECTORY, "NOFOLLOW": unix.O_NOFOLLOW, "NOATIME": unix.O_NOATIME, "DIRECT": unix.O_DIRECT,
		"PATH": unix.O_PATH, "TMPFILE": unix.O_TMPFILE,
	}
	for _, w := range strings.Split(s, "|") {
		f, ok := all[w]
		if !ok {
			panic("open flag " + w)
		}
		flags |= f
	}
	return flags | unix.O_CLOEXEC
}

// when prints a time as the records do: long ago by number, else "now".
func when(ts unix.Timespec) string {
	if time.Since(time.Unix(ts.Unix())) > 24*time.Hour {
		return strconv.FormatInt(ts.Sec, 10)
	}
	return "now"
}

func statValue(st *unix.Stat_t) map[string]any {
	v := map[string]any{
		"atime": when(st.Atim), "mtime": when(st.Mtim), "uid": st.Uid, "gid": st.Gid, "nlink": st.Nlink,
		"mode": fmt.Sprintf("%04o", st.Mode&0o7777), "type": kindName(st.Mode),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFLNK:
		v["size"] = st.Size
	case unix.S_IFCHR, unix.S_IFBLK:
		v["rdev"] = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	return v
}

func readdirValue(path string, inodes bool) (any, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	list, dots, err := readFolder(fd)
	if err != nil {
		return nil, err
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	entries, same := []any{}, true
	for _, c := range list {
		var st unix.Stat_t
		unix.Fstatat(fd, c.name, &st, unix.AT_SYMLINK_NOFOLLOW)
		same = same && st.Ino == c.key.ino
		entries = append(entries, map[string]any{"name": c.name, "d_type": kindName(c.mode)})
	}
	v := map[string]any{"entries": entries, "has_dot_and_dotdot": dots == 2}
	if inodes {
		v["every_d_ino_equals_st_ino"] = same
	}
	return v, nil
}

// readFolder reads an open folder, and counts the dots.
func readFolder(fd int) (list []child, dots int, err error) {
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return nil, 0, err
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 {
			return list, dots, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			var d fuse.DirEntry
			rest = rest[d.Parse(rest):]
			if d.Name == "." || d.Name == ".." {
				dots++
				continue
			}
			list = append(list, child{name: d.Name, mode: d.Mode, key: branchInode{ino: d.Ino}})
		}
	}
}

// listTree lists everything below root, in the order of sorted names.
func listTree(root string) (list []recEntry) {
	first := map[unix.Stat_t]string{} // by device and inode only
	plinks := plinkNumbers(root)
	var walk func(path, name string)
	walk = func(path, name string) {
		e := describe(path, name)
		if n, ok := plinks[name]; ok {
			e["path"] = fmt.Sprintf("%s/{AUFS_INO}.{BRANCH_INO}#%d", whPlink, n)
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1 {
			key := unix.Stat_t{Dev: st.Dev, Ino: st.Ino}
			if other, ok := first[key]; ok {
				e["same_inode_as"] = other
			} else {
				first[key] = e["path"].(string)
			}
		}
		list = append(list, e)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			for _, c := range sorted(readdirnames(path)) {
				walk(path+"/"+c, joinPath(name, c))
			}
		}
	}
	walk(root, ".")
	return list
}

func readdirnames(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return names
}

// plinkNumbers gives pseudo-links their place in the order of inode numbers.
func plinkNumbers(root string) map[string]int {
	entries, _ := os.ReadDir(root + "/" + whPlink)
	sort.Slice(entries, func(i, j int) bool {
		x, _, _ := strings.Cut(entries[i].Name(), ".")
		y, _, _ := strings.Cut(entries[j].Name(), ".")
		return len(x) < len(y) || len(x) == len(y) && x < y
	})
	numbers := map[string]int{}
	for i, e := range entries {
		numbers[whPlink+"/"+e.Name()] = i + 1
	}
	return numbers
}

func describe(path, name string) recEntry {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return recEntry{"path": name, "err": "lstat " + unix.ErrnoName(errnoNumber(err)), "mtime": "", "nlink": 0, "type": "", "uid": 0, "gid": 0}
	}
	e := recEntry(statValue(&st))
	delete(e, "atime")
	e["path"] = name
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		e["data"], e["sha256"] = string(data), hex.EncodeToString(sum[:])
		if err != nil {
			e["data"] = err.Error()
		}
	case unix.S_IFLNK:
		e["to"], _ = os.Readlink(path)
	}
	names, _ := listXattrs(path, false)
	x := map[string]string{}
	for _, n := range names {
		v, err := getXattr(path, n, false)
		x[n] = xattrText(v)
		if err != nil {
			x[n] = "<" + unix.ErrnoName(errnoNumber(err)) + ">"
		}
	}
	if len(x) > 0 {
		e["xattr"] = x
	}
	return e
}

func needFUSE(t testing.TB) {
	t.Helper()
	needs.Root(t)
	needs.File(t, "/dev/fuse", "kernel option CONFIG_FUSE_FS")
}
