package contract

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A chapter is what one layer does to the tree. It is run on the plain folder
// and on the mounted layer alike.
type chapter struct {
	name string
	do   func(s *scribe)
}

// scribe writes below one root and keeps the first error.
type scribe struct {
	root  string
	lacks map[string]string
	err   error
}

// epoch makes the times of both trees equal: they are set, never "now".
var epoch = time.Unix(1_600_000_000, 123_456_789)

func (s *scribe) at(name string) string { return filepath.Join(s.root, name) }

func (s *scribe) try(err error) {
	if err != nil {
		s.err = errors.Join(s.err, err)
	}
}

func (s *scribe) dir(name string, mode os.FileMode) {
	s.try(os.MkdirAll(s.at(name), 0o755))
	s.try(os.Chmod(s.at(name), mode))
}

func (s *scribe) file(name, content string) {
	s.try(os.WriteFile(s.at(name), []byte(content), 0o644))
	s.stamp(name)
}

func (s *scribe) stamp(name string) {
	when := epoch
	if s.lacks["nanoseconds"] != "" {
		when = when.Truncate(time.Second)
	}
	s.try(os.Chtimes(s.at(name), when, when))
}

func (s *scribe) mode(name string, mode os.FileMode) { s.try(os.Chmod(s.at(name), mode)) }
func (s *scribe) link(to, name string)               { s.try(os.Link(s.at(to), s.at(name))) }
func (s *scribe) symlink(to, name string)            { s.try(os.Symlink(to, s.at(name))) }
func (s *scribe) remove(name string)                 { s.try(os.RemoveAll(s.at(name))) }
func (s *scribe) rename(from, to string)             { s.try(os.Rename(s.at(from), s.at(to))) }

func (s *scribe) own(name string, uid, gid int) {
	if s.lacks["owner"] != "" {
		return
	}
	if s.lacks["large-id"] != "" {
		gid %= 1 << 31
	}
	s.try(os.Lchown(s.at(name), uid, gid))
}

func (s *scribe) xattr(name, attr, value string) {
	if s.lacks["xattr"] == "" {
		s.try(os.NewSyscallError("setxattr", unix.Lsetxattr(s.at(name), attr, []byte(value), 0)))
	}
}

func (s *scribe) node(name string, typ uint32, major, minor uint32) {
	if s.lacks["device"] == "" || typ == unix.S_IFIFO {
		s.try(os.NewSyscallError("mknod", unix.Mknod(s.at(name), typ|0o640, int(unix.Mkdev(major, minor)))))
		s.mode(name, 0o640)
	}
}

func (s *scribe) socket(name string) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.at(name), Net: "unix"})
	s.try(err)
	if err == nil {
		l.SetUnlinkOnClose(false)
		l.Close()
	}
}

// capability is a version 2 struct vfs_cap_data: cap_net_raw, effective.
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

var storyOfLayers = []chapter{
	{"base", func(s *scribe) {
		for _, d := range []string{"bin", "etc/conf.d", "srv/www/a/b", "srv/keep", "var/empty", "dev", "swap"} {
			s.dir(d, 0o755)
		}
		s.dir("tmp", 0o1777|os.ModeSticky)
		s.dir("locked", 0o700)
		s.file("bin/sh", strings.Repeat("#!shell\n", 3000))
		s.mode("bin/sh", 0o755|os.ModeSetuid)
		s.file("bin/ping", "ping")
		s.xattr("bin/ping", "security.capability", capability)
		s.xattr("bin/ping", "user.note", "a\x00b")
		s.xattr("etc", "user.folder", "yes")
		s.file("etc/passwd", "root:x:0:0\n")
		s.file("etc/motd", "hello\n")
		s.file("etc/same", "0123456789")
		s.file("etc/empty", "")
		s.file("etc/conf.d/one", "1")
		s.own("etc/conf.d/one", 100000, 4_000_000_000)
		s.file("srv/www/a/b/deep", "deep")
		s.file("srv/www/a/index", "old index")
		s.file("srv/www/gone", "gone")
		s.file("srv/keep/me", "kept")
		s.file("with space and\nnewline", "odd")
		s.file("ünï-文件", "utf-8")
		s.file(strings.Repeat("n", 240), "long name")
		s.symlink("sh", "bin/bash")
		s.symlink("/etc/passwd", "etc/absolute")
		s.symlink("../nowhere", "etc/dangling")
		s.own("etc/dangling", 7, 8)
		s.file("bin/one", "linked")
		s.link("bin/one", "bin/two")
		s.link("bin/one", "var/three")
		s.node("dev/null", unix.S_IFCHR, 1, 3)
		s.node("dev/disk", unix.S_IFBLK, 7, 99)
		s.node("dev/pipe", unix.S_IFIFO, 0, 0)
		s.socket("dev/log")
		s.file("swap/file", "f")
		s.dir("swap/dir/inner", 0o755)
		s.file("swap/dir/inner/x", "x")
		s.symlink("file", "swap/link")
	}},
	{"change", func(s *scribe) {
		s.file("etc/motd", "hello again, and more of it\n")
		s.mode("bin/sh", 0o711)
		s.own("etc/passwd", 1, 2)
		s.file("etc/conf.d/two", "2")
		s.file("bin/.new", "new ping")
		s.rename("bin/.new", "bin/ping")
		s.mode("locked", 0o750)
		s.xattr("etc/empty", "user.added", "later")
	}},
	{"delete", func(s *scribe) {
		s.remove("srv/www/gone")
		s.remove("bin/bash")
		s.remove("bin/two")
		s.remove("var/empty")
		s.remove("etc/conf.d")
	}},
	{"opaque", func(s *scribe) {
		s.remove("srv/www")
		s.dir("srv/www/a", 0o755)
		s.file("srv/www/a/index", "new index")
		s.file("srv/www/fresh", "fresh")
	}},
	{"types", func(s *scribe) {
		s.remove("swap/file")
		s.dir("swap/file", 0o755)
		s.file("swap/file/now", "a folder")
		s.remove("swap/dir")
		s.file("swap/dir", "now a file")
		s.remove("swap/link")
		s.file("swap/link", "no link any more")
	}},
	{"again", func(s *scribe) {
		s.file("bin/bash", "a file this time")
		s.dir("etc/conf.d", 0o700)
		s.file("etc/conf.d/one", "back")
		s.remove("srv/keep")
		s.symlink("www", "srv/keep")
	}},
	{"nothing", func(*scribe) {}},
	{"quietly", func(s *scribe) {
		// Same size, same modification time: only the content tells.
		s.file("etc/same", "9876543210")
	}},
	{"twice", func(s *scribe) {
		// Delete what was made again over a deletion, and a replaced folder.
		s.remove("bin/bash")
		s.remove("swap/file")
		s.remove("srv/www/a")
		s.file("links-a", "pair")
		s.link("links-a", "links-b")
	}},
}

func (ch chapter) write(root string, lacks map[string]string) error {
	s := &scribe{root: root, lacks: lacks}
	ch.do(s)
	if s.err != nil {
		return fmt.Errorf("chapter %s in %s: %w", ch.name, root, s.err)
	}
	return nil
}
