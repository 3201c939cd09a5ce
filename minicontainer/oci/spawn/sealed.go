package spawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Sealed opens this program's own binary in a form that nobody can write to.
//
// The init stage runs inside a container that may be hostile. Whatever it was
// started from is reachable there as /proc/PID/exe; a container that opens that
// for writing owns the next run of the runtime on the host (CVE-2019-5736).
// So init is never started from the file itself, but through a mount that
// belongs to no mount namespace: an overlayfs without an upper directory, which
// is read-only in its super block, whatever a container does to mount flags.
// Where overlayfs cannot do it, a sealed copy in memory takes its place.
func Sealed() (*os.File, error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	f, overlayErr := sealedByOverlay(exe)
	if overlayErr == nil {
		return f, nil
	}
	f, copyErr := sealedCopy("/proc/self/exe")
	if copyErr != nil {
		return nil, errors.Join(overlayErr, copyErr)
	}
	return f, nil
}

// sealedByOverlay mounts the binary's folder as the lower layer of a detached,
// read-only overlay (fsopen(2), fsmount(2)) and opens the binary in it.
func sealedByOverlay(exe string) (*os.File, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen overlay: %w", err)
	}
	defer unix.Close(fs)
	// Two lower layers: an overlay without an upper one was refused with fewer
	// by older kernels. The second is only there to be counted, as a name is looked
	// up in the first one first. (It cannot be in /proc: procfs forbids stacking.)
	lower := escapeLower(path.Dir(exe)) + ":/sys"
	if err := unix.FsconfigSetString(fs, "lowerdir", lower); err != nil {
		return nil, fmt.Errorf("fsconfig overlay lowerdir=%s: %w", lower, err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig overlay create, lowerdir=%s: %w", lower, err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("fsmount overlay: %w", err)
	}
	defer unix.Close(mnt)
	fd, err := unix.Openat(mnt, path.Base(exe), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s in the overlay: %w", path.Base(exe), err)
	}
	return checkSame(fd, exe)
}

// checkSame refuses another file of the same name: the binary may have been
// replaced while this program ran, and readlink then shows a name that lies.
func checkSame(fd int, exe string) (*os.File, error) {
	var in, self unix.Stat_t
	err := errors.Join(unix.Fstat(fd, &in), unix.Stat("/proc/self/exe", &self))
	if err == nil && (in.Ino != self.Ino || in.Size != self.Size || in.Mtim != self.Mtim) {
		err = fmt.Errorf("%s is not the running program any more", exe)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), exe), nil
}

// sealedCopy copies the binary into memory that can neither be written nor
// resized any more (memfd_create(2), F_ADD_SEALS in fcntl(2)).
func sealedCopy(path string) (*os.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	fd, err := unix.MemfdCreate("cutaway-init", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	out := os.NewFile(uintptr(fd), "memfd:cutaway-init")
	_, err = io.Copy(out, in)
	if err == nil {
		seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("seal a copy of %s: %w", path, err)
	}
	return out, nil
}

// escapeLower keeps the characters that overlayfs reads as punctuation.
func escapeLower(path string) string {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if c := path[i]; c == ':' || c == ',' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, path[i])
	}
	return string(out)
}
