package oci

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// document is config.json as far as Linux needs it, with the big and rare parts
// left as text. Before encoding/json decodes a value it prepares for every type
// that can be reached from there. For the whole of specs.Spec, with Windows,
// Solaris and virtual machines in it, that takes longer than all the mounts of a
// container.
type document struct {
	Version     string            `json:"ociVersion"`
	Process     *specs.Process    `json:"process"`
	Root        *specs.Root       `json:"root"`
	Hostname    string            `json:"hostname"`
	Domainname  string            `json:"domainname"`
	Mounts      []specs.Mount     `json:"mounts"`
	Hooks       json.RawMessage   `json:"hooks"`
	Annotations map[string]string `json:"annotations"`
	Linux       linuxDocument     `json:"linux"`
}

type linuxDocument struct {
	UIDMappings       []specs.LinuxIDMapping           `json:"uidMappings"`
	GIDMappings       []specs.LinuxIDMapping           `json:"gidMappings"`
	Sysctl            map[string]string                `json:"sysctl"`
	Resources         json.RawMessage                  `json:"resources"`
	CgroupsPath       string                           `json:"cgroupsPath"`
	Namespaces        []specs.LinuxNamespace           `json:"namespaces"`
	Devices           []specs.LinuxDevice              `json:"devices"`
	NetDevices        json.RawMessage                  `json:"netDevices"`
	Seccomp           json.RawMessage                  `json:"seccomp"`
	RootfsPropagation string                           `json:"rootfsPropagation"`
	MaskedPaths       []string                         `json:"maskedPaths"`
	ReadonlyPaths     []string                         `json:"readonlyPaths"`
	MountLabel        string                           `json:"mountLabel"`
	IntelRdt          json.RawMessage                  `json:"intelRdt"`
	MemoryPolicy      json.RawMessage                  `json:"memoryPolicy"`
	Personality       json.RawMessage                  `json:"personality"`
	TimeOffsets       map[string]specs.LinuxTimeOffset `json:"timeOffsets"`
}

// ParseSpec decodes a config.json. linux may be missing; it is then empty, so
// that nobody behind this has to ask.
func ParseSpec(raw []byte) (*specs.Spec, error) {
	return parseSpec(raw, true)
}

// parseSpec leaves out what the init stage has no use for: it limits nothing, and
// gets its filter compiled.
func parseSpec(raw []byte, all bool) (*specs.Spec, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	l := d.Linux
	spec := &specs.Spec{Version: d.Version, Process: d.Process, Root: d.Root, Hostname: d.Hostname, Domainname: d.Domainname,
		Mounts: d.Mounts, Annotations: d.Annotations}
	spec.Linux = &specs.Linux{UIDMappings: l.UIDMappings, GIDMappings: l.GIDMappings, Sysctl: l.Sysctl, CgroupsPath: l.CgroupsPath,
		Namespaces: l.Namespaces, Devices: l.Devices, RootfsPropagation: l.RootfsPropagation, MaskedPaths: l.MaskedPaths,
		ReadonlyPaths: l.ReadonlyPaths, MountLabel: l.MountLabel, TimeOffsets: l.TimeOffsets}
	if !all {
		l.Resources, l.Seccomp = nil, nil
	}
	for i, m := range spec.Mounts {
		// A relative destination is an old tolerance of runc that bundles rely on.
		if m.Destination != "" {
			spec.Mounts[i].Destination = filepath.Join("/", m.Destination)
		}
	}
	return spec, decodeParts(spec, d.Hooks, l)
}

// decodeParts decodes what was left as text, where there is any.
func decodeParts(spec *specs.Spec, hooks json.RawMessage, l linuxDocument) error {
	for _, part := range []struct {
		name string
		text json.RawMessage
		into any
	}{
		{"hooks", hooks, &spec.Hooks},
		{"linux.resources", l.Resources, &spec.Linux.Resources},
		{"linux.netDevices", l.NetDevices, &spec.Linux.NetDevices},
		{"linux.seccomp", l.Seccomp, &spec.Linux.Seccomp},
		{"linux.intelRdt", l.IntelRdt, &spec.Linux.IntelRdt},
		{"linux.memoryPolicy", l.MemoryPolicy, &spec.Linux.MemoryPolicy},
		{"linux.personality", l.Personality, &spec.Linux.Personality},
	} {
		if len(part.text) == 0 {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return fmt.Errorf("config.json: %s: %w", part.name, err)
		}
	}
	return nil
}
