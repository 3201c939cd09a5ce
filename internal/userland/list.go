package userland

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// lister is ls with its options.
type lister struct {
	c                                            *call
	long, all, inode, numeric, self, human, byTm bool
}

func runLs(c *call) error {
	l := lister{c: c}
	f := c.flags()
	f.BoolVarP(&l.long, "long", "l", false, "mode, links, owner, size, time")
	f.BoolVarP(&l.all, "all", "a", false, "names that begin with a dot, too")
	f.BoolVarP(&l.inode, "inode", "i", false, "inode numbers")
	f.BoolVarP(&l.numeric, "numeric-uid-gid", "n", false, "-l with owners as numbers")
	f.BoolVarP(&l.self, "directory", "d", false, "folders themselves, not what is in them")
	f.BoolVarP(&l.human, "human-readable", "h", false, "sizes such as 1.5M")
	f.BoolVarP(&l.byTm, "time", "t", false, "newest first")
	f.BoolP("one", "1", true, "a line each (always so)")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	l.long = l.long || l.numeric
	if len(c.args) == 0 {
		c.args = []string{"."}
	}
	for i, path := range c.args {
		if len(c.args) > 1 && !l.self {
			fmt.Fprintf(c.out, "%s%s:\n", strings.Repeat("\n", min(i, 1)), path)
		}
		c.complain(l.list(path))
	}
	return nil
}

func (l lister) list(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	var text strings.Builder
	tab := tabwriter.NewWriter(&text, 0, 1, 1, ' ', tabwriter.AlignRight)
	if !fi.IsDir() || l.self {
		l.line(tab, path, path, fi)
	} else {
		err = l.folder(tab, path)
	}
	tab.Flush()
	for line := range strings.Lines(text.String()) {
		// Columns that are aligned to the right begin with the gap to the one
		// before, also the first.
		if l.long || l.inode {
			line = line[1:]
		}
		if _, err := io.WriteString(l.c.out, line); err != nil {
			return err
		}
	}
	return err
}

func (l lister) folder(tab *tabwriter.Writer, path string) error {
	if l.all {
		for _, name := range []string{".", ".."} {
			if fi, err := os.Lstat(path + "/" + name); err == nil {
				l.line(tab, path, name, fi)
			}
		}
	}
	entries, err := os.ReadDir(path)
	var infos []fs.FileInfo
	for _, e := range entries {
		fi, err := e.Info()
		if err == nil && (l.all || !strings.HasPrefix(e.Name(), ".")) {
			infos = append(infos, fi)
		}
	}
	if l.byTm {
		slices.SortStableFunc(infos, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	}
	for _, fi := range infos {
		l.line(tab, filepath.Join(path, fi.Name()), fi.Name(), fi)
	}
	return err
}

func (l lister) line(tab *tabwriter.Writer, path, name string, fi fs.FileInfo) {
	st := fi.Sys().(*syscall.Stat_t)
	if l.inode {
		fmt.Fprintf(tab, "%d\t ", st.Ino)
	}
	if l.long {
		size := strconv.FormatInt(fi.Size(), 10)
		if l.human {
			size = human(fi.Size())
		}
		if fi.Mode()&fs.ModeDevice != 0 {
			size = fmt.Sprintf("%d, %d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		if fi.Mode()&fs.ModeSymlink != 0 {
			target, _ := os.Readlink(path)
			name += " -> " + target
		}
		fmt.Fprintf(tab, "%s\t %d\t %s\t %s\t %s\t %s ", modeText(fi.Mode()), st.Nlink, l.owner(st.Uid), l.group(st.Gid), size, fi.ModTime().Format("Jan _2 15:04"))
	}
	fmt.Fprintln(tab, name)
}

func (l lister) owner(id uint32) string {
	if u, err := user.LookupId(fmt.Sprint(id)); err == nil && !l.numeric {
		return u.Username
	}
	return fmt.Sprint(id)
}

func (l lister) group(id uint32) string {
	if g, err := user.LookupGroupId(fmt.Sprint(id)); err == nil && !l.numeric {
		return g.Name
	}
	return fmt.Sprint(id)
}

// modeText is "drwxr-xr-x" as ls has it; Go writes the type and the special bits
// in another way.
func modeText(m fs.FileMode) string {
	text := []byte("-" + m.Perm().String()[1:])
	for _, kind := range []struct {
		bit  fs.FileMode
		sign byte
	}{
		{fs.ModeDir, 'd'}, {fs.ModeSymlink, 'l'}, {fs.ModeNamedPipe, 'p'}, {fs.ModeSocket, 's'},
		{fs.ModeDevice, 'b'}, {fs.ModeCharDevice, 'c'},
	} {
		if m&kind.bit != 0 {
			text[0] = kind.sign
		}
	}
	for _, special := range []struct {
		bit  fs.FileMode
		at   int
		sign byte
	}{{fs.ModeSetuid, 3, 's'}, {fs.ModeSetgid, 6, 's'}, {fs.ModeSticky, 9, 't'}} {
		if m&special.bit == 0 {
			continue
		}
		if text[special.at] == '-' {
			special.sign -= 'a' - 'A'
		}
		text[special.at] = special.sign
	}
	return string(text)
}
