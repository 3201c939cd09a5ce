package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// Kernel is one that can be booted, or could be after Prepare.
type Kernel struct {
	Name    string // "linux-image-6.1.0-56-cloud-amd64_6.1.192-2", "host-6.8.0-45-generic", or the file's path
	Release string // as uname -r will say: "6.1.0-56-cloud-amd64"
	Arch    string // "amd64"
	Image   string // bzImage or vmlinux; "" until fetched
	Modules string // folder with .ko files; "" when all is built in
	Config  string // the kernel's .config, or ""
	Source  string // "cache", "host", "file" or "debian" (to be fetched)
	Bytes   int64  // to be downloaded, for "debian"
	boot    string // what QEMU loads: an unpacked vmlinux where it can be had
}

// Problem is a place where kernels could have come from, and why none did.
type Problem struct {
	Source string
	Err    error
}

// Kernels lists what can be had: prepared ones, the host's own in /boot, and the one
// that Debian's package manager offers. It fetches nothing.
func Kernels(ctx context.Context, cacheDir string) ([]Kernel, []Problem, error) {
	found, err := cachedKernels(cacheDir)
	if err != nil {
		return nil, nil, err
	}
	host, problems := hostKernels("/")
	found = append(found, host...)
	offer, err := aptOffer(ctx, cloudPackage)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		problems = append(problems, Problem{"debian", explain("ask apt for "+cloudPackage, err)})
	case !hasKernel(found, offer.Name()):
		found = append(found, offer.kernel())
	}
	return found, problems, nil
}

func hasKernel(list []Kernel, name string) bool {
	for _, k := range list {
		if k.Name == name {
			return true
		}
	}
	return false
}

// cachedKernels lists kernels/<package>_<version>/ in the cache folder, newest first.
func cachedKernels(cacheDir string) (found []Kernel, err error) {
	entries, err := os.ReadDir(kernelsDir(cacheDir))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("list prepared kernels: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, cachedKernel(cacheDir, e.Name()))
		}
	}
	sort.Slice(found, func(i, j int) bool { return age(found[i]) > age(found[j]) })
	return found, nil
}

func kernelsDir(cacheDir string) string { return filepath.Join(cacheDir, "kernels") }

// cachedKernel describes a prepared kernel by the layout that Prepare gives it.
func cachedKernel(cacheDir, name string) Kernel {
	dir := filepath.Join(kernelsDir(cacheDir), name)
	pkg, _, _ := strings.Cut(name, "_")
	k := Kernel{
		Name: name, Arch: "amd64", Source: "cache",
		Release: strings.TrimPrefix(pkg, "linux-image-"),
		Image:   filepath.Join(dir, "vmlinuz"), boot: filepath.Join(dir, "vmlinux"),
		Modules: filepath.Join(dir, "modules"), Config: filepath.Join(dir, "config"),
	}
	if !exists(k.boot) {
		k.boot = k.Image
	}
	return k
}

func age(k Kernel) int64 {
	info, err := os.Stat(k.Image)
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}

// hostKernels lists /boot/vmlinuz-<release> below root, with their modules.
func hostKernels(root string) (found []Kernel, problems []Problem) {
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	for _, image := range images {
		release := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		k := Kernel{Name: "host-" + release, Release: release, Arch: runtime.GOARCH, Image: image, Source: "host"}
		f, err := os.Open(image)
		if err != nil {
			// Ubuntu lets only root read kernels.
			problems = append(problems, Problem{"host", explain("read "+image, err)})
			continue
		}
		f.Close()
		if dir := filepath.Join(root, "lib/modules", release); exists(dir) {
			k.Modules = dir
		}
		if config := filepath.Join(root, "boot/config-"+release); exists(config) {
			k.Config = config
		}
		found = append(found, k)
	}
	if len(images) == 0 {
		problems = append(problems, Problem{"host", fmt.Errorf("no /boot/vmlinuz-* on this host")})
	}
	return found, problems
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
