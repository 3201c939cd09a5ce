package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer/oci/seccomp"
)

// namespacedSysctls belong to a namespace of the container. Any other one is
// the host's, and no container may change it.
var namespacedSysctls = sync.OnceValue(func() map[string]specs.LinuxNamespaceType {
	return map[string]specs.LinuxNamespaceType{
		"kernel.msgmax": specs.IPCNamespace, "kernel.msgmnb": specs.IPCNamespace, "kernel.msgmni": specs.IPCNamespace,
		"kernel.sem": specs.IPCNamespace, "kernel.shmall": specs.IPCNamespace, "kernel.shmmax": specs.IPCNamespace,
		"kernel.shmmni": specs.IPCNamespace, "kernel.shm_rmid_forced": specs.IPCNamespace,
		"kernel.domainname": specs.UTSNamespace,
	}
})

func validateSysctl(spec *specs.Spec) error {
	var errs []error
	for key := range spec.Linux.Sysctl {
		errs = append(errs, validateSysctlKey(spec, strings.ReplaceAll(key, "/", ".")))
	}
	return errors.Join(errs...)
}

func validateSysctlKey(spec *specs.Spec, key string) error {
	kind, ok := namespacedSysctls()[key]
	switch {
	case key == "kernel.hostname":
		return fmt.Errorf("sysctl %q is not allowed as it conflicts with the OCI %q field", key, "hostname")
	case strings.HasPrefix(key, "fs.mqueue."):
		kind, ok = specs.IPCNamespace, true
	case strings.HasPrefix(key, "net."):
		kind, ok = specs.NetworkNamespace, true
	}
	if !ok {
		return fmt.Errorf("sysctl %q is not in a separate kernel namespace", key)
	}
	if !hasNamespace(spec, kind) {
		return fmt.Errorf("sysctl %q is not allowed in the hosts %s namespace", key, kind)
	}
	return nil
}

func validateRest(spec *specs.Spec) error {
	l := spec.Linux
	var errs []error
	for _, d := range l.Devices {
		if d.Path == "" || !filepath.IsAbs(d.Path) {
			errs = append(errs, fmt.Errorf("device path %q is not absolute", d.Path))
		}
		if !strings.Contains("cubp", d.Type) || len(d.Type) != 1 {
			errs = append(errs, fmt.Errorf("invalid device type %q for %s: c, u, b or p", d.Type, d.Path))
		}
	}
	if l.IntelRdt != nil {
		errs = append(errs, errors.New("intelRdt is specified in config, but Intel RDT is not supported by this runtime"))
	}
	if l.MountLabel != "" && !lsmActive("selinux") {
		errs = append(errs, errors.New("selinux label is specified in config, but selinux is disabled or not supported"))
	}
	if len(l.NetDevices) > 0 {
		errs = append(errs, errors.New("netDevices are not supported by this runtime; move the device with a createRuntime hook"))
	}
	if l.MemoryPolicy != nil {
		errs = append(errs, errors.New("memoryPolicy is not supported by this runtime; use cpu.mems of the cgroup"))
	}
	_, err := planPersonality(l.Personality)
	return errors.Join(append(errs, err)...)
}

// compileFilter makes the program of linux.seccomp, where there is one.
func compileFilter(spec *specs.Spec) (*seccomp.Filter, error) {
	if spec.Linux.Seccomp == nil {
		return nil, nil
	}
	return seccomp.Compile(spec.Linux.Seccomp)
}

func validateHooks(h *specs.Hooks) error {
	if h == nil {
		return nil
	}
	var errs []error
	//lint:ignore SA1019 old bundles and their engines still use prestart
	for _, list := range [][]specs.Hook{h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer, h.Poststart, h.Poststop} {
		for _, hook := range list {
			if !filepath.IsAbs(hook.Path) {
				errs = append(errs, fmt.Errorf("hook path %q must be absolute", hook.Path))
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				errs = append(errs, fmt.Errorf("hook %s: timeout %d must be more than 0 seconds", hook.Path, *hook.Timeout))
			}
		}
	}
	return errors.Join(errs...)
}

// lsmActive asks the kernel which security modules run (securityfs, lsm).
func lsmActive(name string) bool {
	text, err := os.ReadFile("/sys/kernel/security/lsm")
	if err != nil {
		// securityfs is not mounted everywhere; each module has a folder of its own.
		_, err := os.Stat(map[string]string{"selinux": "/sys/fs/selinux/enforce", "apparmor": "/sys/module/apparmor/parameters/enabled"}[name])
		return err == nil
	}
	return strings.Contains(","+strings.TrimSpace(string(text))+",", ","+name+",")
}
