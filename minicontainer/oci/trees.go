package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/spawn"
)

// openTrees clones the root and the sources of all bind mounts, in the host's
// own mount namespace and with the host's rights: a container in a user
// namespace may not be allowed to walk to them, and its file tree has no say in
// where they are.
func (m *making) openTrees() error {
	p, err := rootfs.ParsePropagation(m.Spec.Linux.RootfsPropagation)
	if err != nil {
		return err
	}
	if m.tree, err = cloneFor(m.Rootfs, true, rootfs.Propagation{Type: unix.MS_SLAVE, Recursive: true}); err != nil {
		return fmt.Errorf("root file system: %w", err)
	}
	m.sources = make([]*os.File, len(m.Spec.Mounts))
	for i, mount := range m.Spec.Mounts {
		plan, err := rootfs.PlanOptions(mount)
		if err != nil {
			return err
		}
		if !plan.Bind {
			continue
		}
		if m.sources[i], err = m.openSource(mount, plan, p); err != nil {
			return fmt.Errorf("error mounting %q to rootfs at %q: %w", mount.Source, mount.Destination, err)
		}
	}
	return nil
}

// openSource clones one bind source; a relative one begins at the bundle.
func (m *making) openSource(mount specs.Mount, plan rootfs.Plan, p rootfs.Propagation) (*os.File, error) {
	path := mount.Source
	if !filepath.IsAbs(path) {
		path = filepath.Join(m.Bundle, path)
	}
	tree, err := cloneFor(path, plan.Recursive, p)
	if err != nil || !(plan.IDMap || len(mount.UIDMappings) > 0) {
		return tree, err
	}
	return tree, m.mapOwners(tree, mount, plan)
}

// cloneFor clones a tree and cuts its tie to the host as the spec wants. It has
// to happen before anything is mounted below: a shared clone would hand every
// mount of the container to the host.
func cloneFor(path string, recursive bool, p rootfs.Propagation) (*os.File, error) {
	tree, err := rootfs.CloneTree(path, recursive)
	if err != nil {
		return nil, err
	}
	p.Recursive = p.Recursive && recursive
	return tree, rootfs.SetPropagation(tree, p)
}

// mapOwners makes the clone an idmapped mount. The kernel takes the mapping in
// the form of a user namespace, so one is made by a process that does nothing.
func (m *making) mapOwners(tree *os.File, mount specs.Mount, plan rootfs.Plan) error {
	uids, gids := mount.UIDMappings, mount.GIDMappings
	if len(uids) == 0 {
		uids, gids = m.Spec.Linux.UIDMappings, m.Spec.Linux.GIDMappings
	}
	if len(uids) == 0 || len(gids) == 0 {
		return errors.New("an idmapped mount needs uidMappings and gidMappings, its own or the container's")
	}
	users, err := userNamespace(uids, gids)
	if err != nil {
		return err
	}
	defer users.Close()
	return rootfs.SetIDMap(tree, users, plan.IDMapRec)
}

// userNamespace opens a user namespace with the given mappings. Its only
// process is an init stage that ends when its socket closes without an order.
func userNamespace(uids, gids []specs.LinuxIDMapping) (*os.File, error) {
	near, far, err := newWire()
	if err != nil {
		return nil, err
	}
	defer near.f.Close()
	exe, err := spawn.Sealed()
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	pid, err := spawn.Start(spawn.Process{Exe: exe, Argv: initArgv(far), Env: initEnv, New: unix.CLONE_NEWUSER,
		UIDs: uids, GIDs: gids, Stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, Keep: []*os.File{far.f}})
	far.f.Close()
	if err != nil {
		return nil, err
	}
	users, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	near.f.Close()
	unix.Wait4(pid, nil, 0, nil)
	return users, err
}
