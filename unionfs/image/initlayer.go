package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// initFiles are what a container's init layer holds: empty files and folders
// that the runtime mounts the real ones over. They must exist as mount points,
// and they must not end up in an image that is committed from the container;
// hence a layer of their own between the two. "/etc/mtab" is a link.
var initFiles = []struct {
	name string
	kind byte // 'd' folder, 'f' empty file, otherwise a link's target
	link string
}{
	{"dev/pts", 'd', ""},
	{"dev/shm", 'd', ""},
	{"proc", 'd', ""},
	{"sys", 'd', ""},
	{".dockerenv", 'f', ""},
	{"etc/resolv.conf", 'f', ""},
	{"etc/hosts", 'f', ""},
	{"etc/hostname", 'f', ""},
	{"dev/console", 'f', ""},
	{"etc/mtab", 'l', "/proc/mounts"},
}

// FillInitLayer makes the init files in a mounted tree, where the image does not
// have them. A link of the image in the place of an empty file is removed, lest
// the runtime mounts over what it points at; folders are opened through os.Root,
// so that a link "etc -> /etc" in an image leads nowhere.
func FillInitLayer(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range initFiles {
		var err error
		switch f.kind {
		case 'd':
			err = makeDirs(root, f.name)
		case 'f':
			err = makeEmpty(root, f.name)
		case 'l':
			err = makeLink(root, f.name, f.link)
		}
		if err != nil {
			return fmt.Errorf("init layer: %s: %w", f.name, err)
		}
	}
	return nil
}

// makeDirs makes a folder and those above it. A link of the image that leads out
// is left alone: the runtime resolves it inside the container.
func makeDirs(root *os.Root, name string) error {
	for i, c := range name + "/" {
		if c != '/' {
			continue
		}
		part := name[:i]
		fi, err := root.Lstat(part)
		if errors.Is(err, fs.ErrNotExist) {
			err = root.Mkdir(part, 0o755)
		} else if err == nil && !fi.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func makeEmpty(root *os.Root, name string) error {
	if err := makeDirs(root, path.Dir(name)); err != nil {
		return err
	}
	fi, err := root.Lstat(name)
	if err == nil && fi.Mode().Type() == fs.ModeSymlink {
		err = root.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return skipEscape(err)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return skipEscape(err)
	}
	return f.Close()
}

func makeLink(root *os.Root, name, target string) error {
	if _, err := root.Lstat(name); err == nil {
		return nil
	}
	if err := makeDirs(root, path.Dir(name)); err != nil {
		return err
	}
	return skipEscape(root.Symlink(target, name))
}

// skipEscape forgives a folder that is a link out of the tree. os.Root has no
// named error for that.
func skipEscape(err error) error {
	if err != nil && strings.Contains(err.Error(), "escapes from parent") {
		return nil
	}
	return err
}
