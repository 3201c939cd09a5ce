package ground

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/internal/probe"
)

// Filesystems are the ones that layers of images are stacked with or stand on:
// what cutaway does with each, and what it takes where the kernel has it not.
var Filesystems = []struct{ Name, Use, Otherwise string }{
	{"overlay", "stacks layers: storage driver overlay2", "layers by full copy (vfs)"},
	{"aufs", "stacks layers: storage driver aufs", "cutaway's own AUFS in user space, over FUSE"},
	{"btrfs", "clones layers: storage driver btrfs", "a kernel that has it, in a virtual machine"},
	{"zfs", "clones layers: storage driver zfs", "zfs-fuse, or a virtual machine"},
	{"xfs", "carries overlay2, with quotas", "ext4 below overlay2, as on most machines"},
	{"fuse", "carries file systems in user space", "a kernel that has it, in a virtual machine"},
}

// Registered reads which file systems the kernel knows now (/proc/filesystems,
// proc(5)). A module that is not loaded yet is not in it.
func Registered() (map[string]bool, error) {
	text, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		// "nodev\toverlay": the name is the last field; the first says that it
		// needs no block device.
		fields := strings.Fields(line)
		known[fields[len(fields)-1]] = true
	}
	return known, nil
}

// StateRoot is where images and containers are kept: /var/lib/cutaway for root,
// a folder in the home for others, also for one who is root only in a user
// namespace.
func StateRoot() string {
	if os.Geteuid() == 0 && !inUserNamespace("/proc/self/uid_map") {
		return "/var/lib/cutaway"
	}
	return HomeRoot()
}

// inUserNamespace reads the map of user ids, user_namespaces(7). In the first
// namespace it is one line that maps everything to itself.
func inUserNamespace(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295"
}

// HomeRoot is the state root of an ordinary user, also for one who is root of a
// user namespace and so cannot be told from root by the uid.
func HomeRoot() string {
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local/share/cutaway")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("cutaway-%d", os.Getuid()))
}

// Info reads what `cutaway info` shows about the state root. It makes nothing:
// where the root does not exist yet, the folder that it will be made in counts.
func Info(ctx context.Context, root string) ([]evidence.Fact, error) {
	below := Existing(root)
	backing, err := backingOf(below)
	if err != nil {
		return nil, err
	}
	found := map[probe.ID]probe.Result{}
	for _, r := range probe.Run(ctx, probe.Options{StateDir: root}, "dir.d-type", "overlay.statedir", "overlay.works") {
		found[r.ID] = r
	}
	driver, from := Driver(found)
	return []evidence.Fact{
		evidence.F("kernel", "uname(2)", kernel()),
		evidence.F("root folder", "--root, or the default", root),
		evidence.F("backing filesystem", "statfs(2) "+below, backing),
		evidence.F("d_type", seen(found["dir.d-type"]), string(found["dir.d-type"].State)),
		evidence.F("storage driver", from, driver),
		evidence.F("native overlay diff", "/sys/module/overlay/parameters/redirect_dir", nativeDiff()),
		evidence.F("cgroup version", "statfs(2) /sys/fs/cgroup, /proc/self/mountinfo", cgroupVersion()),
		evidence.F("cgroup driver", "cutaway writes the files itself", "cgroupfs"),
	}, nil
}

// Driver is the storage driver for the probed folder, with the probe that
// decided.
func Driver(found map[probe.ID]probe.Result) (driver, from string) {
	for _, id := range []probe.ID{"overlay.statedir", "overlay.works"} {
		if r, ok := found[id]; ok && probe.Usable(r.State) {
			return "overlay2", seen(r)
		}
	}
	return "vfs", seen(found["overlay.statedir"])
}

func seen(r probe.Result) string {
	for _, e := range r.Evidence {
		if e.Call != "" {
			return fmt.Sprintf("probe %s: %s", r.ID, e.Call)
		}
	}
	return fmt.Sprintf("probe %s", r.ID)
}

// Existing is the path, or the nearest folder above it that is there: where a
// state root that does not exist yet would be made.
func Existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == "/" {
			return path
		}
		path = filepath.Dir(path)
	}
}

// magics are the numbers by which statfs(2) names a file system.
var magics = sync.OnceValue(func() map[int64]string {
	return map[int64]string{
		unix.EXT4_SUPER_MAGIC: "extfs", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", 0x2fc12fc1: "zfs",
		unix.FUSE_SUPER_MAGIC: "fuse", unix.NFS_SUPER_MAGIC: "nfs", unix.RAMFS_MAGIC: "ramfs", 0x61756673: "aufs",
	}
})

func backingOf(path string) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return "", fmt.Errorf("statfs %s: %w", path, err)
	}
	if name, ok := magics()[fs.Type]; ok {
		return name, nil
	}
	return fmt.Sprintf("0x%x", fs.Type), nil
}

// nativeDiff tells whether the upper folder of an overlay can be taken as the
// difference between two layers as it is. With redirect_dir on, a renamed
// folder is only a hint in an xattr, which a tar of the upper folder would lose.
func nativeDiff() string {
	text, err := os.ReadFile("/sys/module/overlay/parameters/redirect_dir")
	switch {
	case err != nil:
		return "unknown"
	case strings.TrimSpace(string(text)) == "N":
		return "true"
	}
	return "false"
}

// cgroupVersion looks at the file system on /sys/fs/cgroup: cgroup2 itself, or
// a tmpfs with the hierarchies of version 1 (and perhaps a cgroup2) below it.
func cgroupVersion() string {
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return "2"
	}
	text, _ := os.ReadFile("/proc/self/mountinfo")
	v1, v2 := strings.Contains(string(text), " - cgroup "), strings.Contains(string(text), " - cgroup2 ")
	switch {
	case v1 && v2:
		return "1 and 2 (hybrid)"
	case v1:
		return "1"
	case v2:
		return "2"
	}
	return "none mounted"
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
