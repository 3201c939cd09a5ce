package netdemo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A claims folder says who holds what: one symbolic link per thing, named after it, whose target is the
// holder's name ("ls -l" reads "172.18.0.2 -> web on front"). symlink(2) makes name and content in one
// act and refuses a name that exists, so the kernel decides who came first. Nothing is kept in memory: a
// claim holds between processes and after a restart, and a taker that is killed leaves a whole claim or
// none.
//
// State is not synced to disk: after a power cut the links and rules that it speaks of are gone too.
type claims struct{ dir string }

// take claims name for holder. errors.Is(err, fs.ErrExist) when it is taken.
func (c claims) take(name, holder string) error {
	return os.Symlink(holder, filepath.Join(c.dir, name))
}

// holder reads who holds name; "" for nobody.
func (c claims) holder(name string) string {
	text, _ := os.Readlink(filepath.Join(c.dir, name))
	return text
}

// note replaces a claim of the folder's own, such as ".last", at once. A link's short target lies in the
// inode itself; replacing a file of data by rename makes ext4 write the data out first, which can take
// longer than all the rest of an attachment.
func (c claims) note(name, text string) error {
	temp := name + "-new"
	if err := c.release(temp); err != nil {
		return err
	}
	if err := c.take(temp, text); err != nil {
		return err
	}
	return os.Rename(filepath.Join(c.dir, temp), filepath.Join(c.dir, name))
}

func (c claims) release(name string) error { return gone(os.Remove(filepath.Join(c.dir, name))) }

// names lists what is claimed; files of the folder's own begin with a dot.
func (c claims) names() ([]string, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// locked runs fn while no other process (or goroutine) is in locked for the same folder. flock(2) is
// given back by the kernel when the holder dies.
func locked(dir string, fn func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return &Error{Op: "lock", Subject: dir, Err: err}
	}
	return fn()
}

// gone takes "there is none" for success: the aim of a removal is reached.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
