package walk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/journal"
)

// makeLabHost turns the new mount and net namespace that the worker was born
// into into a lab host, and returns the scratch folder.
//
// The order matters. Propagation is cut first: under systemd every mount is
// shared, and a mount made before that would appear on the learner's machine.
// /run is covered last, because the run folder, which the journal needs, is
// usually below it.
func makeLabHost(run *journal.Run, runDir string) (string, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("make all mounts private: %w", err)
	}
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
	return lab, errors.Join(os.Mkdir(lab, 0o755), coverRun(stage, runDir), raiseLoopback())
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
