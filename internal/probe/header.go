package probe

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Header says on what machine, and as whom, the probes were asked.
type Header struct {
	Kernel       string   `json:"kernel"`        // uname -s -r -v
	Release      string   `json:"release"`       // uname -r
	Machine      string   `json:"machine"`       // uname -m
	ConfigSource string   `json:"config_source"` // file, or "" when none was found
	Container    string   `json:"container"`     // what kind of container this is, "" when none was noticed
	Masked       []string `json:"masked"`        // paths below /proc that something is mounted over
	EUID         int      `json:"euid"`
	Caps         string   `json:"caps"`    // CapEff, hexadecimal
	Seccomp      string   `json:"seccomp"` // disabled, strict, filter
	Chroot       bool     `json:"chroot"`
	Modules      bool     `json:"modules"` // whether this kernel can load modules
}

// ReadHeader looks at this process and machine. config is what was found or
// given, nil for none.
func ReadHeader(config *Config) Header {
	var u unix.Utsname
	_ = unix.Uname(&u)
	status := text("/proc/self/status")
	mounts := ownMounts()
	h := Header{
		Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]),
		EUID:    os.Geteuid(), Caps: statusField(status, "CapEff"),
		Seccomp: seccompMode(statusField(status, "Seccomp")),
		Chroot:  chrooted(mounts), Container: container("", mounts),
		Masked:  []string{},
		Modules: exists("/proc/modules") && text("/proc/sys/kernel/modules_disabled") != "1",
	}
	h.Kernel = strings.Join([]string{unix.ByteSliceToString(u.Sysname[:]), h.Release, unix.ByteSliceToString(u.Version[:])}, " ")
	if h.Container != "" {
		h.Masked = append(h.Masked, coveredPaths(mounts, "/proc/")...)
	}
	if config != nil {
		h.ConfigSource = config.Source
	}
	return h
}

// RunningConfig returns the config of the running kernel, nil when there is
// none to be found, which is never fatal.
func RunningConfig() *Config {
	c, _ := FindConfig("", kernelRelease())
	return c
}

// seccompMode names the number in /proc/PID/status.
func seccompMode(n string) string {
	switch n {
	case "0":
		return "disabled"
	case "1":
		return "strict"
	case "2":
		return "filter"
	}
	return "unknown"
}

// container guesses, from the marks that engines leave below root. A virtual
// machine may have been made out of a container image, marks and all: its
// root is the root of a whole disk.
func container(root string, mounts []mountLine) string {
	if wholeDisk(mounts) {
		return ""
	}
	if exists(root + "/.dockerenv") {
		return "docker"
	}
	if exists(root + "/run/.containerenv") {
		return "podman"
	}
	if name := text(root + "/run/systemd/container"); name != "" {
		return name
	}
	for _, word := range strings.Split(text(root+"/proc/1/environ"), "\x00") {
		if name, ok := strings.CutPrefix(word, "container="); ok {
			return name
		}
	}
	if strings.Contains(text(root+"/proc/1/cgroup"), "kubepods") {
		return "kubernetes"
	}
	return ""
}

// wholeDisk tells whether "/" is the top folder of a file system on a disk.
// Containers have an overlay, or a folder of some file system, as their root.
func wholeDisk(mounts []mountLine) bool {
	for _, m := range mounts {
		if m.point == "/" {
			return m.root == "/" && (m.fstype == "ext4" || m.fstype == "xfs" || m.fstype == "ext3")
		}
	}
	return false
}
