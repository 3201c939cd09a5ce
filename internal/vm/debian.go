package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Progress is called now and then with how much is done; total is 0 when unknown.
type Progress func(done, total int64, what string)

// fetchDebian gets a kernel package with the system's package manager, which knows
// the mirrors, proxies and keys of this machine, and unpacks it into the cache.
// Nothing is installed and no root is needed.
func fetchDebian(ctx context.Context, cacheDir string, o offer, report Progress) (Kernel, error) {
	final := filepath.Join(kernelsDir(cacheDir), o.Name())
	err := buildOnce(ctx, final, func(temp string) error {
		if err := os.MkdirAll(temp, 0o755); err != nil {
			return err
		}
		if err := checkSpace(temp, unpackedSize*o.Size); err != nil {
			return err
		}
		deb, err := aptDownload(ctx, temp, o, report)
		if err != nil {
			return err
		}
		report(0, 0, "unpack "+o.Name())
		if err := unpackKernel(deb, temp); err != nil {
			return err
		}
		return os.Remove(deb)
	})
	if err != nil {
		return Kernel{}, err
	}
	return cachedKernel(cacheDir, o.Name()), nil
}

// unpackedSize is how much room a kernel package takes while it is prepared, in
// sizes of its file: itself, its modules, the unpacked kernel.
const unpackedSize = 7

// checkSpace refuses to begin what the disk cannot hold: apt-get would only print
// that, in words.
func checkSpace(dir string, need int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("statfs(%s): %w", dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("%s: %d MB needed, %d MB free: %w", dir, need>>20, free>>20, unix.ENOSPC)
	}
	return nil
}

// aptDownload runs apt-get in dir and compares what came with the package lists.
func aptDownload(ctx context.Context, dir string, o offer, report Progress) (file string, err error) {
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, "apt-get", "-q", "download", o.Package+"="+o.Version)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &complaint, &complaint
	cmd.WaitDelay = time.Second // its download helpers may hold the pipe after a kill
	stop := watchDownload(dir, o, report)
	err = cmd.Run()
	stop()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	if len(files) != 1 {
		return "", fmt.Errorf("apt-get download %s left %d packages in %s, want 1", o.Package, len(files), dir)
	}
	return files[0], checkSum(files[0], o)
}

// watchDownload reports the growth of the file until stopped. apt-get's own progress
// needs a terminal.
func watchDownload(dir string, o offer, report Progress) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	size := func() (n int64) {
		for _, pattern := range []string{"*.deb", "*.deb.FAILED", "partial/*"} {
			files, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, f := range files {
				if info, err := os.Stat(f); err == nil {
					n += info.Size()
				}
			}
		}
		return n
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				report(size(), o.Size, "download "+o.Name())
				return
			case <-time.After(100 * time.Millisecond):
				report(size(), o.Size, "download "+o.Name())
			}
		}
	}()
	return func() { close(done); <-ended }
}

func checkSum(file string, o offer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != o.Size || got != o.SHA256 {
		return fmt.Errorf("%s: %d bytes with sha256 %s, want %d with %s: %w", file, n, got, o.Size, o.SHA256, ErrDamaged)
	}
	return nil
}

// unpackKernel lays out a kernel package as cachedKernel expects it, and unpacks the
// kernel image itself, so that a boot need not.
func unpackKernel(deb, dir string) error {
	f, err := os.Open(deb)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unpackDeb(f, dir, kernelPlace); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: %w", err, ErrDamaged)
		}
		return fmt.Errorf("unpack %s: %w", deb, err)
	}
	_, err = unpackImage(filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "vmlinux"))
	if errors.Is(err, errNoDirectBoot) {
		return nil // the packed image will do
	}
	return err
}

// kernelPlace says where a file of the package goes: boot/vmlinuz-R, boot/config-R
// and lib/modules/R/ are wanted.
func kernelPlace(name string) string {
	parts := strings.SplitN(strings.TrimPrefix(name, "usr/"), "/", 4)
	switch {
	case len(parts) == 4 && parts[0] == "lib" && parts[1] == "modules":
		return "modules/" + parts[3]
	case len(parts) == 2 && parts[0] == "boot" && strings.HasPrefix(parts[1], "vmlinuz-"):
		return "vmlinuz"
	case len(parts) == 2 && parts[0] == "boot" && strings.HasPrefix(parts[1], "config-"):
		return "config"
	}
	return ""
}
