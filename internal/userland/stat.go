package userland

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func runStat(c *call) error {
	f := c.flags()
	format := f.StringP("format", "c", "", "%n name %s size %i inode %h links %a mode %A mode in letters %u %g owner %F type %d device %m ...")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	text := *format
	if text == "" {
		text = "  File: %n\n  Size: %s\tBlocks: %b\t%F\nDevice: %d\tInode: %i\tLinks: %h\nAccess: (%a/%A)\tUid: %u\tGid: %g\nModify: %y"
	}
	for _, path := range c.args {
		fi, err := os.Lstat(path)
		if err != nil {
			c.complain(err)
			continue
		}
		st := fi.Sys().(*syscall.Stat_t)
		fmt.Fprintln(c.out, strings.NewReplacer("%n", path, "%s", fmt.Sprint(fi.Size()), "%b", fmt.Sprint(st.Blocks), "%i", fmt.Sprint(st.Ino),
			"%h", fmt.Sprint(st.Nlink), "%a", fmt.Sprintf("%o", toBits(fi.Mode())), "%A", modeText(fi.Mode()), "%u", fmt.Sprint(st.Uid), "%g", fmt.Sprint(st.Gid),
			"%d", fmt.Sprint(st.Dev), "%t", fmt.Sprintf("%x", unix.Major(st.Rdev)), "%T", fmt.Sprintf("%x", unix.Minor(st.Rdev)),
			"%F", kindText(fi), "%y", fi.ModTime().String(), "%Y", fmt.Sprint(fi.ModTime().Unix())).Replace(text))
	}
	return nil
}

func kindText(fi fs.FileInfo) string {
	switch m := fi.Mode(); {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeCharDevice != 0:
		return "character special file"
	case m&fs.ModeDevice != 0:
		return "block special file"
	case fi.Size() == 0:
		return "regular empty file"
	}
	return "regular file"
}
