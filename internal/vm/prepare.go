package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Prepare makes a kernel ready to boot. What is wanted is "" (a prepared one, else
// Debian's), "debian" (Debian's newest, fetched if it is not the prepared one), a
// name or release out of Kernels, or the path of a kernel image. Progress may be nil.
func Prepare(ctx context.Context, cacheDir, want string, progress Progress) (Kernel, error) {
	if progress == nil {
		progress = func(int64, int64, string) {}
	}
	if strings.Contains(want, "/") {
		return PrepareFile(ctx, cacheDir, want, "")
	}
	if want != "debian" {
		if k, ok, err := preparedKernel(ctx, cacheDir, want); ok || err != nil {
			return k, err
		}
	}
	o, err := aptOffer(ctx, cloudPackage)
	if err != nil {
		return Kernel{}, explain("ask apt for "+cloudPackage, err)
	}
	if want != "" && want != "debian" && want != o.Name() && want != o.kernel().Release {
		return Kernel{}, &Failure{What: "prepare kernel " + want, Err: ErrNoKernel,
			Why: "it is neither prepared, nor in /boot, nor what apt offers", Try: "cutaway vm kernels lists what can be had"}
	}
	k, err := fetchDebian(ctx, cacheDir, o, progress)
	return k, explain("prepare kernel "+o.Name(), err)
}

// preparedKernel finds a kernel that needs no download.
func preparedKernel(ctx context.Context, cacheDir, want string) (Kernel, bool, error) {
	cached, err := cachedKernels(cacheDir)
	if err != nil {
		return Kernel{}, false, err
	}
	for _, k := range cached {
		if want == "" || want == k.Name || want == k.Release {
			return k, true, nil
		}
	}
	host, _ := hostKernels("/")
	for _, k := range host {
		if want == k.Name || want == k.Release || want == "host" {
			k, err := unpacked(ctx, cacheDir, k)
			return k, true, err
		}
	}
	return Kernel{}, false, nil
}

// PrepareFile makes a kernel image of the caller's ready. Modules is the folder with
// its .ko files, usually /lib/modules/<release>, or "" when all is built in.
func PrepareFile(ctx context.Context, cacheDir, image, modules string) (Kernel, error) {
	if modules != "" && !exists(modules) {
		return Kernel{}, &Failure{What: "prepare kernel " + image, Err: &os.PathError{Op: "stat", Path: modules, Err: os.ErrNotExist},
			Try: "give --modules the folder that holds kernel/, such as /lib/modules/" + filepath.Base(modules)}
	}
	k := Kernel{Name: image, Arch: "amd64", Image: image, Modules: modules, Source: "file"}
	return unpacked(ctx, cacheDir, k)
}

// unpacked fills in what QEMU loads, and the release, for a kernel outside the cache.
// The unpacked image is cached under the hash of the packed one.
func unpacked(ctx context.Context, cacheDir string, k Kernel) (Kernel, error) {
	what := "prepare kernel " + k.Image
	data, err := os.ReadFile(k.Image)
	if err != nil {
		return Kernel{}, explain(what, err)
	}
	if hasPVH(data) {
		k.boot = k.Image // already a vmlinux
		k.Release = moduleRelease(k)
		return k, nil
	}
	header, err := parseBzImage(data)
	if err != nil {
		return Kernel{}, explain(what, fmt.Errorf("%s: %w", k.Image, err))
	}
	k.Release = header.Release
	sum := sha256.Sum256(data)
	final := filepath.Join(cacheDir, "images", hex.EncodeToString(sum[:8])+"-"+header.Release)
	err = buildOnce(ctx, final, func(temp string) error {
		_, err := unpackImage(k.Image, temp)
		return err
	})
	switch {
	case errors.Is(err, errNoDirectBoot):
		k.boot = k.Image
	case err != nil:
		return Kernel{}, explain(what, err)
	default:
		k.boot = final
	}
	return k, nil
}

// moduleRelease takes the release from the modules' folder name.
func moduleRelease(k Kernel) string {
	if k.Modules == "" {
		return ""
	}
	return filepath.Base(filepath.Clean(k.Modules))
}

// errNoDirectBoot says that only the packed image can be booted.
var errNoDirectBoot = errors.New("kernel cannot be entered directly")

// unpackImage writes the ELF kernel inside a bzImage to a file and returns its release.
func unpackImage(image, to string) (release string, err error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return "", err
	}
	header, err := parseBzImage(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	vmlinux, ok, err := header.ELF()
	if err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	if !ok || !hasPVH(vmlinux) {
		return header.Release, errNoDirectBoot
	}
	return header.Release, os.WriteFile(to, vmlinux, 0o644)
}
