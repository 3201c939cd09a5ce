package oci

import (
	"runtime"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/seccomp"
)

// Features tells what this runtime knows, whatever the kernel below it can do
// (features.md of the runtime specification).
func Features() features.Features {
	yes, no := true, false
	f := features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions:  rootfs.Options(),
		Linux: &features.Linux{
			Cgroup:          &features.Cgroup{V1: &yes, V2: &yes, Systemd: &no, SystemdUser: &no, Rdma: &yes},
			Seccomp:         seccompFeatures(),
			Apparmor:        &features.Apparmor{Enabled: &yes},
			Selinux:         &features.Selinux{Enabled: &yes},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
		},
		Annotations: map[string]string{"dev.cutaway.go": runtime.Version()},
	}
	for _, t := range []specs.LinuxNamespaceType{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"} {
		f.Linux.Namespaces = append(f.Linux.Namespaces, string(t))
	}
	for _, c := range capability.ListKnown() {
		f.Linux.Capabilities = append(f.Linux.Capabilities, capName(c))
	}
	return f
}

func seccompFeatures() *features.Seccomp {
	yes := true
	return &features.Seccomp{Enabled: &yes, Actions: seccomp.Actions(), Operators: seccomp.Operators(),
		Archs: seccomp.Archs(), KnownFlags: seccomp.Flags(), SupportedFlags: seccomp.Flags()}
}
