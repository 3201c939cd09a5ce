package vm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/vm/erofs"
)

// An initramfs is copied into the guest's memory as a whole before PID 1 starts, which
// with TCG takes a second for 60 MB. So what lies below /usr comes on a disk, of which
// the guest reads what it uses.

// diskSerial is how the guest finds the disk: /sys/block/*/serial. Its name is no
// use: with a scratch disk, which is /dev/vda, it is another one than without.
const diskSerial = "cutaway-usr"

// writeDisk writes the image of /usr.
func (p *initramfsPlan) writeDisk(name string) error {
	usr := erofs.New()
	if err := p.writeUsr(belowUsr{usr}); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(usr.Write(w, time.Now()), w.Flush(), f.Close())
}

// belowUsr takes names that start with "usr/" into a tree that will be mounted there.
type belowUsr struct{ to *erofs.Image }

func (b belowUsr) Dir(name string, perm uint32) error { return b.to.Dir(trimUsr(name), perm) }
func (b belowUsr) File(name string, perm uint32, data []byte) error {
	return b.to.File(trimUsr(name), perm, data)
}
func (b belowUsr) Symlink(name, target string) error { return b.to.Symlink(trimUsr(name), target) }
func (b belowUsr) Has(name string) bool              { return b.to.Has(trimUsr(name)) }

func trimUsr(name string) string { return strings.TrimPrefix(clean(name), "usr/") }

// mountUsr finds the disk with that serial number and mounts it on /usr.
func mountUsr(serial, sys, dev string) error {
	files, _ := filepath.Glob(filepath.Join(sys, "*/serial"))
	for _, file := range files {
		if text, _ := os.ReadFile(file); strings.TrimSpace(string(text)) != serial {
			continue
		}
		disk := filepath.Join(dev, filepath.Base(filepath.Dir(file)))
		if err := unix.Mount(disk, "/usr", "erofs", unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
			return fmt.Errorf("mount(%s, /usr, erofs, MS_RDONLY|MS_NODEV): %w", disk, err)
		}
		return nil
	}
	return fmt.Errorf("none of the disks %q has the serial number %q", files, serial)
}
