package bundle

import (
	"os"
	"strconv"
	"strings"

	"cutaway/minicontainer"
)

// maskedPaths show the host, not the container, and some can harm it: keys,
// memory, hardware.
var maskedPaths = []string{
	"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
	"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
}

// readonlyPaths would let root in the container change the host's kernel.
var readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

// security is what --security-opt comes to.
type security struct {
	masked, readonly []string
	noNewPrivileges  bool
	profile          *Profile // nil: no filter
}

// parseSecurity reads --security-opt and --privileged.
func parseSecurity(h *minicontainer.HostConfig) (*security, error) {
	s := &security{masked: maskedPaths, readonly: readonlyPaths, profile: defaultProfile()}
	if h.MaskedPaths != nil {
		s.masked = h.MaskedPaths
	}
	if h.ReadonlyPaths != nil {
		s.readonly = h.ReadonlyPaths
	}
	for _, option := range h.SecurityOpt {
		if err := s.apply(option); err != nil {
			return nil, err
		}
	}
	if h.Privileged {
		s.masked, s.readonly = nil, nil
	}
	return s, nil
}

func (s *security) apply(option string) (err error) {
	name, value, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
	switch {
	case option == "no-new-privileges":
		s.noNewPrivileges = true
	case name == "no-new-privileges":
		s.noNewPrivileges, err = strconv.ParseBool(value)
	case name == "seccomp" && value == "unconfined":
		s.profile = nil
	case name == "seccomp":
		s.profile, err = ParseProfile([]byte(value))
	case name == "systempaths" && value == "unconfined":
		s.masked, s.readonly = nil, nil
	case name == "apparmor" && value == "unconfined", name == "label" && value == "disable":
		// There is no such profile to begin with.
	default:
		return &minicontainer.Invalid{Reason: "invalid --security-opt " + strconv.Quote(option) +
			": there are seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined"}
	}
	if err != nil {
		return &minicontainer.Invalid{Reason: "invalid --security-opt " + name + ": " + err.Error()}
	}
	return nil
}

// ReadProfiles replaces the file names in seccomp=FILE by their content, as
// Docker's client does: the file is the client's, not the daemon's.
func ReadProfiles(options []string) error {
	for i, option := range options {
		name, file, found := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		if !found || name != "seccomp" || file == "unconfined" || strings.HasPrefix(file, "{") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return &minicontainer.Invalid{Reason: "opening seccomp profile (" + file + ") failed: " + err.Error()}
		}
		options[i] = "seccomp=" + string(text)
	}
	return nil
}
