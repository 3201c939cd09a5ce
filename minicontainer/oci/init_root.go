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
	b.setup = &rootfs.Setup{Spec: b.spec, Path: b.State.Rootfs, Tree: file(b.Tree, b.State.Rootfs), Cgroups: b.Cgroups, Proc: b.proc}
	for i, fd := range b.Sources {
		b.setup.Sources = append(b.setup.Sources, file(fd, b.spec.Mounts[i].Source))
	}
	var err error
	b.root, err = b.setup.Begin()
	return err
}

func (b *box) mount() error { return b.setup.Mounts(b.root) }

// makeDevices fills /dev, and makes it read-only if the spec wants that.
func (b *box) makeDevices() error {
	return errors.Join(b.setup.Devices(b.root), b.setup.FinishDev(b.root))
}

// askForHooks lets the runtime run what belongs into its own namespaces.
func (b *box) askForHooks() error {
	h := hookLists(b.spec)
	//lint:ignore SA1019 old bundles and their engines still use prestart
	if len(h.Prestart)+len(h.CreateRuntime) == 0 {
		return nil
	}
	return b.ask(reply{Ask: askHooks})
}

// askForLimits lets the runtime set the resource limits. It has the host's
// rights: raising a hard limit is nothing that a user namespace allows.
func (b *box) askForLimits() error {
	if len(b.process.Rlimits) == 0 {
		return nil
	}
	return b.ask(reply{Ask: askLimits})
}

// ask waits until the runtime has done something.
func (b *box) ask(what reply) error {
	if err := b.runtime.sendJSON(what); err != nil {
		return err
	}
	var done reply
	return b.runtime.receiveJSON(&done)
}

func (b *box) containerHooks() error {
	return runHooks("createContainer", b.State.Rootfs, hookLists(b.spec).CreateContainer, b.hookState(specs.StateCreating))
}

// hookState shows the container's pid as its own pid namespace has it: hooks in
// the container cannot see another one.
func (b *box) hookState(status specs.ContainerState) specs.State {
	return b.State.hookState(status)
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

func (b *box) sealRoot() error { return b.setup.Seal(b.root) }

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

// unshareCgroups makes the group that this process is in the root of its view
// of all hierarchies (unshare(2), CLONE_NEWCGROUP).
func unshareCgroups(b *box) error {
	if !newNamespace(b.spec, specs.CgroupNamespace) {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("unshare CLONE_NEWCGROUP: %w", err)
	}
	return nil
}

// newSession leaves the session of the caller, its terminal (setsid(2)) and its
// keys (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING).
func newSession(b *box) error {
	if _, err := unix.Setsid(); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setsid: %w", err)
	}
	if !b.Keyring {
		return nil
	}
	// Not every kernel has keyrings, and a full quota is no reason to fail.
	_, err := unix.KeyctlJoinSessionKeyring("_ses." + b.State.ID)
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("keyctl KEYCTL_JOIN_SESSION_KEYRING: %w", err)
	}
	return nil
}

// reportReady is the end of create: every error that can be known is known.
func (b *box) reportReady() error { return b.runtime.sendJSON(reply{Ready: true}) }

// awaitStart waits for the one byte of start, or for end of file with the
// death of everybody who could send it (read(2) on exec.fifo).
func (b *box) awaitStart() error {
	fifo := file(b.Fifo, "exec.fifo")
	defer fifo.Close()
	if _, err := fifo.Read(make([]byte, 1)); err != nil {
		return err
	}
	return nil
}

func (b *box) startHooks() error {
	return runHooks("startContainer", "/", hookLists(b.spec).StartContainer, b.hookState(specs.StateCreated))
}
