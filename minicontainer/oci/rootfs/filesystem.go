package rootfs

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// newFilesystem makes a detached mount of a new file system (fsopen(2),
// fsconfig(2), fsmount(2)) with the plan's super block options and attributes.
func newFilesystem(kind, source string, p Plan) (*os.File, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", kind, err)
	}
	defer unix.Close(fs)
	return finish(fs, kind, source, p)
}

// newFilesystem is the same for a file system that belongs to the container's process.
func (s *Setup) newFilesystem(kind, source string, p Plan) (*os.File, error) {
	if s.Fsopen == nil || kind != "proc" {
		return newFilesystem(kind, source, p)
	}
	fs, err := s.Fsopen(kind)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", kind, err)
	}
	defer fs.Close()
	return finish(int(fs.Fd()), kind, source, p)
}

// finish makes the detached mount out of a new context.
func finish(fs int, kind, source string, p Plan) (*os.File, error) {
	if err := configure(fs, source, p); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(p.Set))
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", kind, err)
	}
	return os.NewFile(uintptr(fd), kind), nil
}

// configure hands over the options one by one, so that a refusal names the option.
func configure(fs int, source string, p Plan) error {
	if source != "" {
		if err := unix.FsconfigSetString(fs, "source", source); err != nil {
			return fmt.Errorf("fsconfig source=%s: %w", source, err)
		}
	}
	for _, flag := range p.Super {
		if err := unix.FsconfigSetFlag(fs, flag); err != nil {
			return fmt.Errorf("fsconfig %s: %w", flag, err)
		}
	}
	for _, option := range p.Data {
		if err := setOption(fs, option); err != nil {
			return fmt.Errorf("fsconfig %s: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("fsconfig create: %w", err)
	}
	return nil
}

// setOption passes one option of a file system: key=value or a bare word.
func setOption(fs int, option string) error {
	key, value, found := strings.Cut(option, "=")
	if !found {
		return unix.FsconfigSetFlag(fs, option)
	}
	return unix.FsconfigSetString(fs, key, value)
}
