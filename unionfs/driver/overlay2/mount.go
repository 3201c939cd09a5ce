package overlay2

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// MountAt mounts the overlay at target, a full path, in the way that Plan found.
func (s Spec) MountAt(target string) error {
	if err := s.Check(); err != nil {
		return err
	}
	switch way := s.Plan(); way {
	case Absolute:
		return s.MountAbsolute(target)
	case Relative:
		return s.MountRelative(target)
	default:
		return s.MountFsconfig(target)
	}
}

// MountAbsolute calls mount(2) with full paths. More than a page of options is
// not refused as such: the kernel reads what fits into the page, and fails, or
// not, over the path that was cut.
func (s Spec) MountAbsolute(target string) error { return mount(target, s.Options(true)) }

func mount(target, options string) error {
	if err := unix.Mount("overlay", target, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay at %s, options %q: %w", target, options, err)
	}
	return nil
}

// MountRelative calls mount(2) with short paths from within Home. The working
// folder belongs to the process, not to a thread, so a thread first gets one of
// its own by unshare(CLONE_FS), and dies with it afterwards: a goroutine that
// ends while locked takes its thread along.
func (s Spec) MountRelative(target string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- s.mountFromHome(target)
	}()
	return <-done
}

func (s Spec) mountFromHome(target string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare CLONE_FS: %w", err)
	}
	if err := unix.Chdir(s.Home); err != nil {
		return fmt.Errorf("chdir %s: %w", s.Home, err)
	}
	return mount(target, s.Options(false))
}

// MountFsconfig mounts with fsopen(2), fsconfig(2) and move_mount(2) (Linux 5.2;
// the key "lowerdir+" for one lower folder at a time since 6.5). Each value may
// have 255 bytes, which is why one long lowerdir would not do here either.
func (s Spec) MountFsconfig(target string) error {
	fsfd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen overlay: %w", err)
	}
	defer unix.Close(fsfd)
	if err := s.configure(fsfd); err != nil {
		return kernelSays(fsfd, err)
	}
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return kernelSays(fsfd, fmt.Errorf("fsconfig CMD_CREATE: %w", err))
	}
	mfd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("fsmount overlay: %w", err)
	}
	defer unix.Close(mfd)
	if err := unix.MoveMount(mfd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount to %s: %w", target, err)
	}
	return nil
}

// configure hands over the options one by one. Lower folders by their real path:
// it is shorter than the limit, and the mount table shows it.
func (s Spec) configure(fsfd int) error {
	for _, kv := range s.KeyValues() {
		if kv.Key == "lowerdir" {
			continue
		}
		if err := s.setOption(fsfd, kv); err != nil {
			return err
		}
	}
	for _, l := range s.Lowers {
		dir := filepath.Join(s.Home, l)
		if err := unix.FsconfigSetString(fsfd, "lowerdir+", dir); err != nil {
			return fmt.Errorf("fsconfig lowerdir+=%s: %w", dir, err)
		}
	}
	return nil
}

// setOption is one fsconfig(2) call. A flag such as userxattr has a call of its
// own: to the kernel an empty string is a value, and one that a flag cannot have.
func (s Spec) setOption(fsfd int, kv KeyValue) error {
	if kv.Value == "" {
		if err := unix.FsconfigSetFlag(fsfd, kv.Key); err != nil {
			return fmt.Errorf("fsconfig %s: %w", kv.Key, err)
		}
		return nil
	}
	value := s.value(kv, true)
	if err := unix.FsconfigSetString(fsfd, kv.Key, value); err != nil {
		return fmt.Errorf("fsconfig %s=%s: %w", kv.Key, value, err)
	}
	return nil
}

// kernelSays adds the message that the kernel left in the fsopen descriptor,
// where older mounts only had dmesg.
func kernelSays(fsfd int, err error) error {
	buf := make([]byte, 1024)
	n, rerr := unix.Read(fsfd, buf)
	if rerr != nil || n <= 0 {
		return err
	}
	return fmt.Errorf("%w (kernel: %s)", err, buf[:n])
}

// extraOptions asks the module's parameters which options this kernel knows.
// index=off, since a layer may be mounted again over another stack; redirects
// and metadata-only copies off where they are on by default, since a layer that
// uses them cannot be read without its lower layers.
func extraOptions(parameters string, userXattr bool) ([]string, error) {
	var opts []string
	if userXattr {
		opts = append(opts, "userxattr")
	}
	for _, p := range []string{"index", "redirect_dir", "metacopy"} {
		f, err := os.Open(filepath.Join(parameters, p))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		if p == "index" || len(b) > 0 && b[0] == 'Y' && !userXattr {
			opts = append(opts, p+"=off")
		}
	}
	return opts, nil
}
