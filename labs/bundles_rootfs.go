package labs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// applets are the programs of the root file system: busybox by many names.
const applets = "sh cat chroot dd echo env head hostname id ip kill ln ls mkdir mknod mount ping ps readlink rm sleep tee touch tr true umount wc"

// rootfsDirs are its folders. Mount points have to be there: a runtime that had
// to make them in a read-only root could not.
const rootfsDirs = "bin dev etc host proc sys tmp"

// makeRootfs fills the folder rootfs with the smallest tree that can be used:
// one static program, its names, and the list of users.
func makeRootfs(b *bench.Bench) error {
	busybox, err := staticBusybox()
	if err != nil {
		return err
	}
	for dir := range strings.FieldsSeq(rootfsDirs) {
		if err := os.MkdirAll(b.Path("rootfs", dir), 0o755); err != nil {
			return err
		}
	}
	if err := copyFile(b.Path("rootfs/bin/busybox"), busybox); err != nil {
		return err
	}
	for name := range strings.FieldsSeq(applets) {
		if err := os.Symlink("busybox", b.Path("rootfs/bin", name)); err != nil {
			return err
		}
	}
	return os.WriteFile(b.Path("rootfs/etc/passwd"), []byte(rootfsUsers), 0o644)
}

const rootfsUsers = "root::0:0:root:/:/bin/sh\nuser::1000:1000:user:/:/bin/sh\n"

var rootfsLines = []string{
	"mkdir -p $(for d in " + rootfsDirs + "; do echo rootfs/$d; done)",
	"cp $(command -v busybox) rootfs/bin/busybox",
	"for a in " + applets + "; do ln -s busybox rootfs/bin/$a; done",
	"echo root::0:0:root:/:/bin/sh > rootfs/etc/passwd",
	"echo user::1000:1000:user:/:/bin/sh >> rootfs/etc/passwd",
}

// staticBusybox finds a busybox that needs no shared libraries: there are none
// in the root file system.
func staticBusybox() (string, error) {
	missing := &evidence.CannotTest{Reason: "there is no static busybox to make a root file system of", WayOut: "apt-get install busybox-static"}
	path, err := exec.LookPath("busybox")
	if err != nil {
		return "", missing
	}
	program, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP { // asks for a dynamic loader
			return "", missing
		}
	}
	return path, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// rootfsFact tells whether a file of the tree is there.
func rootfsFact(b *bench.Bench, path string) evidence.Fact {
	full := filepath.Join("rootfs", path)
	value := evidence.Absent
	if info, err := os.Lstat(b.Path(full)); err == nil {
		value = info.Mode().String()
	}
	return evidence.F(full, "ls -l "+full, value)
}
