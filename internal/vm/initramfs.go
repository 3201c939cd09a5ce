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
	"time"
)

// InitramfsSpec says what goes into a guest's first and only file system.
type InitramfsSpec struct {
	Kernel   Kernel
	Binary   string   // what becomes /init: this program; "" is os.Executable
	Programs []string // host programs to take along; nil is DefaultPrograms
	Modules  []string // kernel modules to take along; nil is DefaultModules
}

// Initramfs is a file that a kernel can boot into.
type Initramfs struct {
	Path  string
	Bytes int64
	// MissingPrograms and MissingModules were asked for but are not on this
	// machine or not in this kernel.
	MissingPrograms, MissingModules []string
}

// initramfsFormat is part of the cache key: raise it when the layout changes.
const initramfsFormat = "cutaway initramfs 1"

// BuildInitramfs makes the initramfs for a kernel, or finds it in the cache: it is
// named by a hash over everything that goes in.
func BuildInitramfs(ctx context.Context, cacheDir string, spec InitramfsSpec) (Initramfs, error) {
	what := "build the initramfs for kernel " + spec.Kernel.Release
	plan, err := planInitramfs(spec, hostUserland())
	if err != nil {
		return Initramfs{}, explain(what, err)
	}
	dir := filepath.Join(cacheDir, "initramfs")
	final := filepath.Join(dir, plan.key()+".cpio")
	err = buildOnce(ctx, final, func(temp string) error {
		if err := plan.write(temp); err != nil {
			return err
		}
		return dropOld(dir, keepInitramfs)
	})
	if err != nil {
		return Initramfs{}, explain(what, err)
	}
	info, err := os.Stat(final)
	if err != nil {
		return Initramfs{}, explain(what, err)
	}
	return Initramfs{Path: final, Bytes: info.Size(), MissingPrograms: plan.missingPrograms, MissingModules: plan.missingModules}, nil
}

// keepInitramfs is how many older files stay: every build of cutaway makes a new one.
const keepInitramfs = 3

// dropOld removes all but the newest files of the cache folder.
func dropOld(dir string, keep int) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.cpio"))
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
	files           map[string]string // path in the guest -> file on the host
	links           map[string]string // path in the guest -> target
	modules         []module
	missingPrograms []string
	missingModules  []string
	identity        []string // what the cache key is made of
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
	if err := p.addPrograms(spec.Programs, from); err != nil {
		return nil, err
	}
	if err := p.addModules(spec.Kernel.Modules, spec.Modules); err != nil {
		return nil, err
	}
	return p, p.identify(spec)
}

func (p *initramfsPlan) addModules(dir string, names []string) error {
	tree, err := openModules(dir)
	if err != nil {
		return err
	}
	p.modules, p.missingModules, err = tree.Closure(append(append([]string{}, eagerModules...), names...))
	if err != nil {
		return err
	}
	if builtin := filepath.Join(dir, "modules.builtin"); dir != "" && exists(builtin) {
		p.files["usr/lib/modules/"+p.release+"/modules.builtin"] = builtin
	}
	return nil
}

// identify collects what the result depends on. The binary counts by its content,
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
	p.identity = append(p.identity, initramfsFormat, spec.Kernel.Name, spec.Kernel.Release, fmt.Sprintf("%x", sum.Sum(nil)))
	for guest, host := range p.files {
		p.identity = append(p.identity, guest+stampOf(host))
	}
	for guest, target := range p.links {
		p.identity = append(p.identity, guest+" -> "+target)
	}
	for _, m := range p.modules {
		p.identity = append(p.identity, m.File+stampOf(m.File))
	}
	sort.Strings(p.identity) // maps come in random order
	return nil
}

func stampOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return " " + err.Error()
	}
	return fmt.Sprintf(" %s %d %d", file, info.Size(), info.ModTime().UnixNano())
}

func (p *initramfsPlan) key() string {
	sum := sha256.New()
	for _, s := range p.identity {
		fmt.Fprintln(sum, s)
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}
