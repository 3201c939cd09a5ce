package bundle

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
)

// defaultCapabilities are what root in a container may do: enough to install
// packages and run services, nothing that reaches out of its namespaces.
var defaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// allCapabilities are all that there are, by number (capabilities(7)).
var allCapabilities = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL
	CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN
	CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT
	CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE
	CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM
	CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)

// capabilities applies --cap-add and --cap-drop to the default set. ALL stands
// for all; what is added by name beats a drop of ALL, and the other way round.
func capabilities(add, drop []string, privileged bool, kernel map[string]bool) ([]string, error) {
	add, addAll, err := capabilityNames(add, "CapAdd")
	if err != nil {
		return nil, err
	}
	drop, dropAll, err := capabilityNames(drop, "CapDrop")
	if err != nil {
		return nil, err
	}
	var set []string
	switch {
	case privileged || addAll:
		// All means all that there are to give: what this process has itself.
		set = slices.DeleteFunc(slices.Clone(allCapabilities), func(c string) bool { return kernel != nil && !kernel[c] })
	case !dropAll:
		set = slices.Clone(defaultCapabilities)
	}
	set = append(set, add...)
	if !privileged {
		set = slices.DeleteFunc(set, func(c string) bool { return slices.Contains(drop, c) })
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

// capabilityNames brings names into the kernel's form.
func capabilityNames(names []string, field string) (list []string, all bool, err error) {
	for _, name := range names {
		full := strings.ToUpper(name)
		if full == "ALL" {
			all = true
			continue
		}
		if !strings.HasPrefix(full, "CAP_") {
			full = "CAP_" + full
		}
		if !slices.Contains(allCapabilities, full) {
			return nil, false, &minicontainer.Invalid{Reason: "invalid " + field + ": unknown capability: \"" + name + "\""}
		}
		list = append(list, full)
	}
	return list, all, nil
}

// capabilitySets spreads the set over the kernel's five. For another user than
// root, the permitted and effective ones go with execve anyway.
func capabilitySets(set []string, user specs.User) *specs.LinuxCapabilities {
	if set == nil {
		set = []string{}
	}
	if user.UID != 0 {
		return &specs.LinuxCapabilities{Bounding: set}
	}
	return &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set}
}

// CheckCapabilities tells of names that there are not, before anything is made.
func CheckCapabilities(add, drop []string) error {
	_, err := capabilities(add, drop, false, nil)
	return err
}
