package nsdemo

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

type pivotRequest struct{ Root string }

var (
	askPivot  = verb("ns.pivot", nothing(pivotRoot))
	askChroot = verb("ns.chroot", nothing(chroot))
	askEscape = verb("ns.escape", func(context.Context, none) (Escape, error) { return escape() })
)

// PivotRoot makes a folder the root of the mount namespace by pivot_root(2), and
// detaches the old root by umount2(2) with MNT_DETACH, so that no path leads back.
func (p *Process) PivotRoot(ctx context.Context, root string) error {
	_, err := askPivot(ctx, p, pivotRequest{root})
	return err
}

// pivotRoot first bind-mounts the folder on itself, since pivot_root takes mount
// points alone, and makes all private, since it takes no shared one (EINVAL).
// pivot_root(".", ".") stacks the old root over the new one, which spares a
// folder for put_old; the umount takes it off.
func pivotRoot(r pivotRequest) error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount(/, MS_PRIVATE|MS_REC): %w", err)
	}
	if err := unix.Mount(r.Root, r.Root, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount(%q, %q, MS_BIND|MS_REC): %w", r.Root, r.Root, err)
	}
	if err := unix.Chdir(r.Root); err != nil {
		return fmt.Errorf("chdir(%q): %w", r.Root, err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root(%q): %w", r.Root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("umount2(the old root, MNT_DETACH): %w", err)
	}
	if err := unix.Chdir("/"); err != nil { // the folder "." was the old root's
		return fmt.Errorf("chdir(/): %w", err)
	}
	return nil
}

// Chroot calls chroot(2) inside. It moves the start of absolute paths and nothing
// else: the mounts, and any open folder, are still the old ones.
func (p *Process) Chroot(ctx context.Context, dir string) error {
	_, err := askChroot(ctx, p, pivotRequest{dir})
	return err
}

func chroot(r pivotRequest) error {
	if err := unix.Chroot(r.Root); err != nil {
		return fmt.Errorf("chroot(%q): %w", r.Root, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir(/): %w", err)
	}
	return nil
}

// Escape is where an attempt to get out of / led.
type Escape struct {
	Before, After FileInfo // "/" before and after
	Escaped       bool     // they are different folders
	Listing       []string // of / afterwards
}

// EscapeChroot tries the classic way out: keep a folder open, chroot below it,
// and climb ".." from the folder, which is now outside of the root and so is
// never stopped by it (chroot(2)). After a chroot it ends in the old root; after
// pivot_root there is nothing above. It leaves the process where it got to.
func (p *Process) EscapeChroot(ctx context.Context) (Escape, error) {
	return askEscape(ctx, p, none{})
}

func escape() (Escape, error) {
	var e Escape
	var err error
	if e.Before, err = Stat("/"); err != nil {
		return e, err
	}
	if err := climbOut(); err != nil {
		return e, err
	}
	if e.After, err = Stat("/"); err != nil {
		return e, err
	}
	e.Escaped = e.Before.Dev != e.After.Dev || e.Before.Inode != e.After.Inode
	e.Listing, err = list("/")
	return e, err
}

// climbOut needs a folder to chroot into; it is removed by way of the open
// folder, because its path no longer exists when it has done its work.
func climbOut() error {
	top, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open(/): %w", err)
	}
	defer unix.Close(top)
	step, err := os.MkdirTemp("/", "cutaway-escape-")
	if err != nil {
		return err
	}
	defer unix.Unlinkat(top, step[1:], unix.AT_REMOVEDIR)
	if err := unix.Chroot(step); err != nil {
		return fmt.Errorf("chroot(%q): %w", step, err)
	}
	if err := unix.Fchdir(top); err != nil {
		return fmt.Errorf("fchdir(the old /): %w", err)
	}
	for range 100 { // deeper than any tree here; at the top ".." stays
		if err := unix.Chdir(".."); err != nil {
			return fmt.Errorf("chdir(..): %w", err)
		}
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot(.): %w", err)
	}
	return nil
}
