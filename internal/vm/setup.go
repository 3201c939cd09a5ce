package vm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// guestMount is one mount(2) of the guest's start.
type guestMount struct {
	fstype, target string
	flags          uintptr
	options        string
}

const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// basicMounts come before modules are loaded.
var basicMounts = []guestMount{
	{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=755"},
	{"proc", "/proc", safe, ""},
	{"sysfs", "/sys", safe, ""},
}

// restMounts are what programs expect of a Linux system. The tmpfs sizes are bounds,
// not reservations; overlayfs and loop files can live in them.
var restMounts = []guestMount{
	{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
	{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	{"mqueue", "/dev/mqueue", safe, ""},
	{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=80%"},
	{"tmpfs", "/var", 0, "mode=755,size=80%"},
	{"cgroup2", "/sys/fs/cgroup", safe, "nsdelegate"},
	{"securityfs", "/sys/kernel/security", safe, ""},
	{"debugfs", "/sys/kernel/debug", safe, ""},
	{"tracefs", "/sys/kernel/tracing", safe, ""},
	{"bpf", "/sys/fs/bpf", safe, "mode=700"},
}

// optional file systems are left out when the kernel was built without them.
var optional = sync.OnceValue(func() map[string]bool {
	return map[string]bool{"mqueue": true, "securityfs": true, "debugfs": true, "tracefs": true, "bpf": true}
})

// mountBasics first gives PID 1 a root that it can leave: the kernel's first file
// system, rootfs, has no parent mount, so pivot_root(2) from it fails with EINVAL in
// every container. A bind mount of it moved on top of it has one. /dev/console was in
// the archive, so the file descriptors 0 to 2 are open already.
func mountBasics() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{`mount("/", "/mnt", MS_BIND)`, func() error { return unix.Mount("/", "/mnt", "", unix.MS_BIND, "") }},
		{`chdir("/mnt")`, func() error { return unix.Chdir("/mnt") }},
		{`mount(".", "/", MS_MOVE)`, func() error { return unix.Mount(".", "/", "", unix.MS_MOVE, "") }},
		{`chroot(".")`, func() error { return unix.Chroot(".") }},
		{`chdir("/")`, func() error { return unix.Chdir("/") }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return mountAll(basicMounts)
}

func mountAll(list []guestMount) error {
	for _, m := range list {
		err := os.MkdirAll(m.target, 0o755)
		if err == nil {
			err = unix.Mount(m.fstype, m.target, m.fstype, m.flags, m.options)
		}
		if err != nil && !optional()[m.fstype] {
			return fmt.Errorf("mount(%s, %s, %q): %w", m.fstype, m.target, m.options, err)
		}
	}
	return nil
}

// setUpRest does what a distribution's init does before services start. What a kernel
// may lack only costs the labs that need it, and these say so.
func setUpRest() error {
	if err := mountAll(restMounts); err != nil {
		return err
	}
	for _, dir := range []string{"/var/lib", "/var/tmp", "/run/lock", "/dev/net", "/dev/mapper"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for link, target := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1",
		"/dev/stderr": "fd/2", "/dev/core": "/proc/kcore", "/etc/mtab": "/proc/self/mounts"} {
		_ = os.Symlink(target, link)
	}
	return errors.Join(
		os.Chmod("/var/tmp", 0o1777),
		os.Chown("/home/learner", 1000, 1000),
		// As systemd does: what a namespace mounts shall show in its copies.
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""),
		unix.Sethostname([]byte("cutaway")),
		makeNodes("/lib/modules/"+release()+"/modules.devname", "/dev"),
		delegateControllers("/sys/fs/cgroup"),
		loopbackUp(),
		environment(),
	)
}

// makeNodes creates the device nodes whose opening makes the kernel load a module,
// from lines such as "fuse fuse c10:229" (what kmod static-nodes does elsewhere).
func makeNodes(list, dev string) error {
	f, err := os.Open(list)
	if err != nil {
		return nil // a kernel without modules
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var module, node string
		var major, minor uint32
		if n, _ := fmt.Sscanf(s.Text(), "%s %s c%d:%d", &module, &node, &major, &minor); n != 4 {
			return fmt.Errorf("%s: line %q, want \"module node cMAJOR:MINOR\"", list, s.Text())
		}
		path := filepath.Join(dev, node)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = unix.Mknod(path, unix.S_IFCHR, int(unix.Mkdev(major, minor)))
		}
		if err == nil {
			err = os.Chmod(path, nodeMode(node)) // mknod would mind the umask
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("mknod(%s, S_IFCHR, %d:%d): %w", path, major, minor, err)
		}
	}
	return nil
}

// nodeMode opens to everyone the two nodes that udev's rules open: the kernel itself
// checks who may do what with them.
func nodeMode(node string) os.FileMode {
	if node == "fuse" || node == "net/tun" {
		return 0o666
	}
	return 0o600
}

// delegateControllers lets child groups use every controller that this kernel has.
// One at a time: a single word that is refused would refuse all.
func delegateControllers(root string) error {
	have, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(have)) {
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+name), 0); err != nil {
			return fmt.Errorf("enable cgroup controller %s: %w", name, err)
		}
	}
	return nil
}

// loopbackUp sets IFF_UP on lo: a new network namespace, and a new kernel, have it down.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket(AF_INET, SOCK_DGRAM): %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("ioctl(SIOCSIFFLAGS, lo, IFF_UP): %w", err)
	}
	return nil
}

// environment replaces what the kernel handed to PID 1, its own parameters among it.
func environment() error {
	os.Clearenv()
	for _, entry := range GuestEnv("linux") {
		name, value, _ := strings.Cut(entry, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// GuestEnv is the environment of programs in the guest that are given none; term is
// the value of TERM.
func GuestEnv(term string) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "CUTAWAY_VM=1", "TERM=" + term,
	}
}

func release() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // cannot fail with a valid pointer
	return unix.ByteSliceToString(u.Release[:])
}
