package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/seccomp"
)

// Validate tells all that is wrong with a spec before anything is made, with
// the words of runc where programs look for them.
func Validate(spec *specs.Spec, bundle string) error {
	_, err := check(spec, bundle)
	return err
}

// check is Validate. Whether a filter is right shows when it is compiled, and
// that takes long enough to keep the result.
func check(spec *specs.Spec, bundle string) (*seccomp.Filter, error) {
	filter, err := compileFilter(spec)
	return filter, errors.Join(
		validateVersion(spec.Version),
		ValidateProcess(spec.Process),
		validateRoot(spec.Root, bundle),
		validateMounts(spec),
		validateNamespaces(spec),
		validateUserMaps(spec),
		validateHostname(spec),
		validateSysctl(spec),
		validateRest(spec),
		err,
		validateHooks(spec.Hooks),
	)
}

// validateVersion accepts 1.x: a later minor version only adds fields.
func validateVersion(version string) error {
	if version == "" {
		return nil // runc accepts it as well, and old bundles have none
	}
	if !strings.HasPrefix(version, "1.") {
		return fmt.Errorf("ociVersion %q is not one that this runtime knows: 1.0.0 to %s", version, specs.Version)
	}
	return nil
}

// ValidateProcess checks what the process has to have.
func ValidateProcess(p *specs.Process) error {
	if p == nil {
		return errors.New("process property must not be empty")
	}
	var errs []error
	if p.Cwd == "" {
		errs = append(errs, errors.New("cwd property must not be empty"))
	} else if !filepath.IsAbs(p.Cwd) {
		errs = append(errs, errors.New("cwd must be an absolute path"))
	}
	if len(p.Args) == 0 {
		errs = append(errs, errors.New("args must not be empty"))
	}
	if p.SelinuxLabel != "" && !lsmActive("selinux") {
		errs = append(errs, errors.New("selinux label is specified in config, but selinux is disabled or not supported"))
	}
	_, err := planIdentity(p, nil)
	return errors.Join(append(errs, err)...)
}

func validateRoot(root *specs.Root, bundle string) error {
	if root == nil {
		return errors.New("root must be specified")
	}
	path := root.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(bundle, path)
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("invalid rootfs: %w", err)
	case !st.IsDir():
		return fmt.Errorf("invalid rootfs: %s is not a folder", path)
	case filepath.Clean(path) == "/":
		return errors.New("invalid rootfs: it is the host's own root; pivot_root needs another mount")
	}
	return nil
}

func validateMounts(spec *specs.Spec) error {
	var errs []error
	for _, m := range spec.Mounts {
		if m.Destination == "" {
			errs = append(errs, errors.New("a mount has no destination"))
			continue
		}
		errs = append(errs, rootfs.CheckDestination(m))
		p, err := rootfs.PlanOptions(m)
		errs = append(errs, err)
		if !p.Bind && m.Type == "" {
			errs = append(errs, fmt.Errorf("mount %s has no type and is no bind", m.Destination))
		}
		if len(m.UIDMappings)+len(m.GIDMappings) > 0 && !p.Bind {
			errs = append(errs, fmt.Errorf("mount %s: only bind mounts take id mappings", m.Destination))
		}
	}
	_, err := rootfs.ParsePropagation(spec.Linux.RootfsPropagation)
	return errors.Join(append(errs, err)...)
}

func validateNamespaces(spec *specs.Spec) error {
	seen := map[specs.LinuxNamespaceType]bool{}
	var errs []error
	for _, ns := range spec.Linux.Namespaces {
		if _, ok := kinds()[ns.Type]; !ok {
			errs = append(errs, fmt.Errorf("namespace %q does not exist", ns.Type))
		}
		if seen[ns.Type] {
			errs = append(errs, fmt.Errorf("malformed spec file: duplicated ns %q", ns.Type))
		}
		seen[ns.Type] = true
		if ns.Path != "" && !filepath.IsAbs(ns.Path) {
			errs = append(errs, fmt.Errorf("namespace %s: path %q is not absolute", ns.Type, ns.Path))
		}
	}
	if !seen[specs.MountNamespace] {
		errs = append(errs, errors.New("no mount namespace: the container's root would have to be a chroot, "+
			"which a process with CAP_SYS_CHROOT leaves again; add {\"type\": \"mount\"} to linux.namespaces"))
	}
	if len(spec.Linux.TimeOffsets) > 0 && !seen[specs.TimeNamespace] {
		errs = append(errs, errors.New("time namespace offsets specified, but time namespace isn't enabled in the config"))
	}
	return errors.Join(errs...)
}

func validateUserMaps(spec *specs.Spec) error {
	l := spec.Linux
	if newNamespace(spec, specs.UserNamespace) && (len(l.UIDMappings) == 0 || len(l.GIDMappings) == 0) {
		return errors.New("a new user namespace needs uidMappings and gidMappings: without them no id exists in it")
	}
	return nil
}

func validateHostname(spec *specs.Spec) error {
	if hasNamespace(spec, specs.UTSNamespace) {
		return nil
	}
	if spec.Hostname != "" {
		return errors.New("unable to set hostname without a private UTS namespace")
	}
	if spec.Domainname != "" {
		return errors.New("unable to set domainname without a private UTS namespace")
	}
	return nil
}

// ValidateID checks a container's name: letters, digits and "_+.-", which also
// keeps it from being a path.
func ValidateID(id string) error {
	odd := strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_+.-", r))
	})
	if odd || id == "" || id == "." || id == ".." || len(id) > 1024 {
		return fmt.Errorf("%w: %q", ErrInvalidID, id)
	}
	return nil
}
