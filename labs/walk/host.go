package walk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/journal"
)

// isolate cuts the mounts of the new namespace off from the machine's. It comes
// before anything else: under systemd every mount is shared, and a mount made
// before would appear on the learner's machine.
//
// What stays writable becomes a mount point, with flags of its own. That comes
// before the journal is opened: a file open for writing would keep its mount,
// the root, from becoming read-only (EBUSY).
func isolate(runDir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	for _, dir := range writable(runDir) {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil && err != unix.ENOENT {
			return fmt.Errorf("bind %s onto itself: %w", dir, err)
		}
	}
	return nil
}

// writable are folders in which a lab may write.
func writable(runDir string) []string { return []string{"/tmp", "/var/tmp", runDir} }

// makeLabHost turns the new mount and net namespace that the worker was born
// into into a lab host, and returns the scratch folder.
//
// It comes after isolate. /run is covered late, because the run folder, which
// the journal needs, is usually below it.
func makeLabHost(run *journal.Run, runDir string) (string, error) {
	stage := filepath.Join(runDir, "scratch", run.ID)
	if err := run.Intend(journal.Undo{Kind: journal.RemoveDir, Path: stage}); err != nil {
		return "", err
	}
	if err := os.MkdirAll(stage, 0o755); err != nil {
		return "", fmt.Errorf("make the scratch folder: %w", err)
	}
	if err := unix.Mount("cutaway", stage, "tmpfs", 0, "mode=755"); err != nil {
		return "", fmt.Errorf("mount a tmpfs on %s: %w", stage, err)
	}
	lab := filepath.Join(stage, "lab")
	return lab, errors.Join(os.Mkdir(lab, 0o755), nameProgram(stage), placeEngine(lab, run.ID), coverRun(stage, runDir), protect(runDir), raiseLoopback())
}

// nameProgram lets shell lines and the learner's shells say `cutaway` and mean
// this very program, wherever it was built and whether or not it is installed.
func nameProgram(stage string) error {
	bin := filepath.Join(stage, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return errors.Join(os.Symlink(exe, filepath.Join(bin, "cutaway")), os.Setenv("PATH", bin+":"+os.Getenv("PATH")))
}

// placeEngine tells the commands for containers, here and in the learner's
// shells, to keep all that they make in the scratch folder, and their control
// groups where the run's are looked for.
func placeEngine(lab, run string) error {
	var errs []error
	for name, value := range map[string]string{"ROOT": lab + "/root", "RUN_DIR": lab + "/run", "CGROUPS": "cutaway-" + run} {
		errs = append(errs, os.Setenv("CUTAWAY_"+name, value))
	}
	return errors.Join(errs...)
}

// protect makes the learner's own files read-only for the lab. A mount
// namespace of one's own keeps mounts apart, not files: without this, a slip in
// a lab (or by the learner, in a shell in the lab) could still write to the
// machine's /etc. What the lab needs to write stays writable: the scratch and
// run folders, temporary files, and the kernel's own file systems.
func protect(runDir string) error {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if below(m.Mountpoint, append(writable(runDir), "/proc", "/sys", "/dev", "/run")) {
			continue
		}
		err := unix.MountSetattr(unix.AT_FDCWD, m.Mountpoint, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		// EINVAL and ENOENT: hidden below another mount. ENOSYS: Linux before
		// 5.12 cannot do it, and the lab goes without this second fence.
		if err != nil && err != unix.EINVAL && err != unix.ENOENT && err != unix.ENOSYS {
			return fmt.Errorf("mount_setattr(%s, MOUNT_ATTR_RDONLY): %w", m.Mountpoint, err)
		}
	}
	return nil
}

// below tells whether the path is one of the folders or in one.
func below(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+"/")
	})
}

// coverRun puts an empty folder over /run, so that `ip netns add` and its like
// leave nothing on the real machine, and shows the run folder through it.
func coverRun(stage, runDir string) error {
	empty := filepath.Join(stage, "run")
	if err := os.MkdirAll(filepath.Join(empty, "netns"), 0o755); err != nil {
		return err
	}
	if rel, ok := strings.CutPrefix(runDir, "/run/"); ok {
		shown := filepath.Join(empty, rel)
		if err := os.MkdirAll(shown, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(runDir, shown, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s into the lab's /run: %w", runDir, err)
		}
	}
	if err := unix.Mount(empty, "/run", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("cover /run: %w", err)
	}
	return nil
}

// raiseLoopback sets lo up: a new net namespace begins with it down, and the
// net namespace of a host has it up.
func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
