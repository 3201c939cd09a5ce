package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// InitramfsSpec says what goes into a guest's file systems.
type InitramfsSpec struct {
	Kernel   Kernel
	Binary   string   // what becomes /init: this program; "" is os.Executable
	Programs []string // host programs to take along; nil is DefaultPrograms
	Modules  []string // kernel modules to take along; nil is DefaultModules
}

// Initramfs is a file that a kernel can boot into, and the disk that goes with it.
type Initramfs struct {
	Path  string
	Bytes int64
	// Disk is an image of the guest's /usr, DiskBytes its size; "" when all is in the
	// initramfs, since this kernel could not mount the image.
	Disk      string
	DiskBytes int64
	// MissingPrograms and MissingModules were asked for but are not on this
	// machine or not in this kernel.
	MissingPrograms, MissingModules []string
}

// initramfsFormat is part of the cache keys: raise it when the layout changes.
const initramfsFormat = "cutaway initramfs 2"

// BuildInitramfs makes the initramfs for a kernel and the disk beside it, or finds
// them in the cache: each is named by a hash over everything that goes in. The disk
// does not hold this program, so a new build of it only makes a new initramfs.
func BuildInitramfs(ctx context.Context, cacheDir string, spec InitramfsSpec) (Initramfs, error) {
	what := "build the initramfs for kernel " + spec.Kernel.Release
	plan, err := planInitramfs(spec, hostUserland())
	if err != nil {
		return Initramfs{}, explain(what, err)
	}
	fs := Initramfs{MissingPrograms: plan.missingPrograms, MissingModules: plan.missingModules}
	if plan.onDisk { // first: where space is short, the larger one fails
		fs.Disk = filepath.Join(cacheDir, "disks", keyOf(plan.usrIdentity)+".erofs")
		if fs.DiskBytes, err = cached(ctx, fs.Disk, plan.writeDisk); err != nil {
			return Initramfs{}, explain(what, err)
		}
	}
	fs.Path = filepath.Join(cacheDir, "initramfs", keyOf(plan.identity, plan.usrIdentity)+".cpio")
	if fs.Bytes, err = cached(ctx, fs.Path, plan.write); err != nil {
		return Initramfs{}, explain(what, err)
	}
	return fs, nil
}

// initramfsPlan is the list of what goes in, before anything is written.
type initramfsPlan struct {
	release, config string
	binary          string
	libraries       []string          // that the binary needs: none for the static cutaway
	files           map[string]string // path in the guest -> file on the host
	links           map[string]string // path in the guest -> target
	eager           []string          // modules to load at once
	modules         []module          // all of them
	bootModules     []module          // the eager ones, with what they need
	onDisk          bool              // whether /usr is on a disk
	missingPrograms []string
	missingModules  []string
	identity        []string // what the initramfs is made of, beside
	usrIdentity     []string // what /usr is made of
}

func planInitramfs(spec InitramfsSpec, from userland) (*initramfsPlan, error) {
	p := &initramfsPlan{release: spec.Kernel.Release, config: spec.Kernel.Config, binary: spec.Binary,
		files: map[string]string{}, links: map[string]string{}}
	if p.binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program's own file: %w", err)
		}
		p.binary = self
	}
	if spec.Programs == nil {
		spec.Programs = DefaultPrograms
	}
	if spec.Modules == nil {
		spec.Modules = DefaultModules
	}
	var err error
	if p.libraries, err = from.Libraries(p.binary); err != nil {
		return nil, err
	}
	p.addFiles(p.libraries)
	if err := p.addPrograms(spec.Programs, from); err != nil {
		return nil, err
	}
	modules, err := openModules(spec.Kernel.Modules)
	if err != nil {
		return nil, err
	}
	p.onDisk = modules.Has(diskModules...) && p.allBelow("usr/")
	if err := p.addModules(modules, spec.Kernel.Modules, spec.Modules); err != nil {
		return nil, err
	}
	return p, p.identify(spec)
}

// allBelow tells whether every planned file and link is in that folder.
func (p *initramfsPlan) allBelow(folder string) bool {
	for _, list := range []map[string]string{p.files, p.links} {
		for name := range list {
			if !strings.HasPrefix(name, folder) {
				return false
			}
		}
	}
	return true
}

func (p *initramfsPlan) addModules(have *moduleTree, dir string, names []string) (err error) {
	p.eager = eagerModules
	if p.onDisk {
		p.eager = append(append([]string{}, diskModules...), eagerModules...)
	}
	if p.bootModules, _, err = have.Closure(p.eager); err != nil {
		return err
	}
	p.modules, p.missingModules, err = have.Closure(append(append([]string{}, p.eager...), names...))
	if err != nil {
		return err
	}
	if builtin := filepath.Join(dir, "modules.builtin"); dir != "" && exists(builtin) {
		p.files[p.moduleDir()+"/modules.builtin"] = builtin
	}
	return nil
}
