// Package bundle turns a container's record into a config.json of the OCI
// runtime specification: what Docker's daemon does between `docker start` and
// calling runc.
//
//	HostConfig, Config ──▶ Make ──▶ specs.Spec ──▶ oci.Runtime.Create
//	     Facts ─────────────┘
//
// Nothing here changes anything. What has to be looked up first (the mounted
// root, the user's number in the image's /etc/passwd, other containers' pids)
// comes in as Facts. So the whole of Docker's defaults can be read here, and
// tested without a kernel:
//
//	process.go     arguments, environment, user, limits
//	caps.go        the fourteen capabilities that are left of forty
//	seccomp*.go    the system calls that are left
//	paths.go       the files of /proc and /sys that are hidden or read-only
//	mounts.go      what is mounted, in which order
//	namespaces.go  which namespaces are new, shared or the host's
//	resources.go   limits, devices
//
// Each default is one wall of several, and --privileged takes down nearly all of
// them at once: search for Privileged to see which.
//
// What this is not: AppArmor and SELinux profiles, which need the host to have
// them loaded.
//
// Further reading: config.md and config-linux.md of the runtime specification,
// capabilities(7), seccomp(2), user_namespaces(7).
package bundle
