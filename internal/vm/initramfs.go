package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
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
	fs.Path = filepath.Join(cacheDir, "initramfs", keyOf(plan.identity, plan.usrIdentity)+".cpio")
	if fs.Bytes, err = cached(ctx, fs.Path, plan.write); err != nil {
		return Initramfs{}, explain(what, err)
	}
	if plan.onDisk {
		fs.Disk = filepath.Join(cacheDir, "disks", keyOf(plan.usrIdentity)+".erofs")
		if fs.DiskBytes, err = cached(ctx, fs.Disk, plan.writeDisk); err != nil {
			return Initramfs{}, explain(what, err)
		}
	}
	return fs, nil
}

// cached makes a file unless it is there, drops older ones of its folder, and
// returns its size.
func cached(ctx context.Context, file string, write func(name string) error) (bytes int64, err error) {
	err = buildOnce(ctx, file, func(temp string) error {
		if err := write(temp); err != nil {
			return err
		}
		return dropOld(filepath.Dir(file), filepath.Ext(file), keepOlder)
	})
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// keepOlder is how many older files stay: every build of cutaway makes a new initramfs,
// every upgrade of one of the programs a new disk.
const keepOlder = 2

// dropOld removes all but the newest files of one kind from a cache folder.
func dropOld(dir, kind string, keep int) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"+kind))
	if err != nil {
		return err
	}
	stamp := func(f string) time.Time {
		info, err := os.Stat(f)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	sort.Slice(files, func(i, j int) bool { return stamp(files[i]).After(stamp(files[j])) })
	for _, f := range files[min(keep, len(files)):] {
		if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
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

// identify collects what the results depend on. The binary counts by its content,
// since a rebuild may keep size and second; the rest by size and time.
func (p *initramfsPlan) identify(spec InitramfsSpec) error {
	sum := sha256.New()
	f, err := os.Open(p.binary)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("read %s: %w", p.binary, err)
	}
	p.identity = []string{fmt.Sprintf("%x", sum.Sum(nil))}
	p.usrIdentity = []string{initramfsFormat, spec.Kernel.Name, spec.Kernel.Release, p.config + stampOf(p.config)}
	for guest, host := range p.files {
		p.usrIdentity = append(p.usrIdentity, guest+stampOf(host))
	}
	for guest, target := range p.links {
		p.usrIdentity = append(p.usrIdentity, guest+" -> "+target)
	}
	for _, m := range p.modules {
		p.usrIdentity = append(p.usrIdentity, m.File+stampOf(m.File))
	}
	sort.Strings(p.usrIdentity) // maps come in random order
	return nil
}

func stampOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return " " + err.Error()
	}
	return fmt.Sprintf(" %s %d %d", file, info.Size(), info.ModTime().UnixNano())
}

func keyOf(identities ...[]string) string {
	sum := sha256.New()
	for _, identity := range identities {
		for _, s := range identity {
			fmt.Fprintln(sum, s)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}
