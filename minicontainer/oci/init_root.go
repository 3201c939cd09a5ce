package oci

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/rootfs"
)

// beginRoot puts the clone of the root file system in place.
func (b *box) beginRoot() error {
	b.setup = &rootfs.Setup{Spec: b.spec, Path: b.state.Rootfs, Tree: b.tree, Sources: b.sources, Cgroups: b.cgroups,
		Proc: b.proc, Fsopen: b.fsopen}
	var err error
	b.root, err = b.setup.Begin()
	return err
}

func (b *box) mount() error { return b.setup.Mounts(b.root) }

// makeDevices fills /dev.
func (b *box) makeDevices() error { return b.setup.Devices(b.root) }

// askForHooks lets the runtime run what belongs into its own namespaces, and set
// the limits before any hook runs.
func (b *box) askForHooks() error {
	if !hasCreateHooks(b.spec) {
		return nil
	}
	return b.outside.runtimeHooks()
}

// askForLimits lets the runtime set the resource limits (prlimit(2)).
func (b *box) askForLimits() error {
	if len(b.process.Rlimits) == 0 {
		return nil
	}
	return b.outside.limits()
}

func (b *box) containerHooks() error {
	return runHooks("createContainer", b.state.Rootfs, hookLists(b.spec).CreateContainer, b.state.hookState(specs.StateCreating))
}

func (b *box) pivot() error { return b.root.Pivot() }

func (b *box) propagate() error { return b.root.Propagate(b.spec.Linux.RootfsPropagation) }

// makeDir makes cwd if the image has none.
func (b *box) makeDir() error {
	dir, err := b.root.MkdirAll(b.process.Cwd)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOTDIR) {
		return nil // entering it gives the better error
	}
	if err != nil {
		return err
	}
	return dir.Close()
}

// sealRoot makes read-only what the spec wants so: /dev has its console by now.
func (b *box) sealRoot() error {
	return errors.Join(b.setup.FinishDev(b.root), b.setup.Seal(b.root))
}

// takeRoot opens the root of the container that this process has joined.
func (b *box) takeRoot() error {
	var err error
	b.root, err = rootfs.OpenRoot("/")
	return err
}

// setNames sets the host's and the NIS domain's name (sethostname(2)).
func (b *box) setNames() error {
	if name := b.spec.Hostname; name != "" {
		if err := unix.Sethostname([]byte(name)); err != nil {
			return fmt.Errorf("sethostname %q: %w", name, err)
		}
	}
	if name := b.spec.Domainname; name != "" {
		if err := unix.Setdomainname([]byte(name)); err != nil {
			return fmt.Errorf("setdomainname %q: %w", name, err)
		}
	}
	return nil
}

// setSysctls writes through the host's procfs, where the container mounted
// nothing; the namespaces meant are those of the writer all the same.
func (b *box) setSysctls() error {
	for key, value := range b.spec.Linux.Sysctl {
		if err := b.proc.Write(sysctlPath(key), value); err != nil {
			return fmt.Errorf("error setting sysctl %s: %w", key, err)
		}
	}
	return nil
}

// coverPaths comes last among the mounts: it must see the final tree.
func (b *box) coverPaths() error {
	for _, path := range b.spec.Linux.ReadonlyPaths {
		if err := b.root.ReadOnly(path); err != nil {
			return err
		}
	}
	for _, path := range b.spec.Linux.MaskedPaths {
		if err := b.root.Mask(path, b.cover); err != nil {
			return err
		}
	}
	return nil
}
