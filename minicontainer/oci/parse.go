package oci

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// document is config.json as far as Linux needs it, with the big and rare parts
// left as text. Before encoding/json reads or writes a value it prepares for
// every type that can be reached from there. For the whole of specs.Spec, with
// Windows, Solaris and virtual machines in it, that takes longer than all the
// mounts of a container.
type document struct {
	Version     string            `json:"ociVersion"`
	Process     *specs.Process    `json:"process,omitempty"`
	Root        *specs.Root       `json:"root,omitempty"`
	Hostname    string            `json:"hostname,omitempty"`
	Domainname  string            `json:"domainname,omitempty"`
	Mounts      []specs.Mount     `json:"mounts,omitempty"`
	Hooks       json.RawMessage   `json:"hooks,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Linux       linuxDocument     `json:"linux"`
}

type linuxDocument struct {
	UIDMappings       []specs.LinuxIDMapping           `json:"uidMappings,omitempty"`
	GIDMappings       []specs.LinuxIDMapping           `json:"gidMappings,omitempty"`
	Sysctl            map[string]string                `json:"sysctl,omitempty"`
	Resources         json.RawMessage                  `json:"resources,omitempty"`
	CgroupsPath       string                           `json:"cgroupsPath,omitempty"`
	Namespaces        []specs.LinuxNamespace           `json:"namespaces,omitempty"`
	Devices           []specs.LinuxDevice              `json:"devices,omitempty"`
	NetDevices        json.RawMessage                  `json:"netDevices,omitempty"`
	Seccomp           json.RawMessage                  `json:"seccomp,omitempty"`
	RootfsPropagation string                           `json:"rootfsPropagation,omitempty"`
	MaskedPaths       []string                         `json:"maskedPaths,omitempty"`
	ReadonlyPaths     []string                         `json:"readonlyPaths,omitempty"`
	MountLabel        string                           `json:"mountLabel,omitempty"`
	IntelRdt          json.RawMessage                  `json:"intelRdt,omitempty"`
	MemoryPolicy      json.RawMessage                  `json:"memoryPolicy,omitempty"`
	Personality       json.RawMessage                  `json:"personality,omitempty"`
	TimeOffsets       map[string]specs.LinuxTimeOffset `json:"timeOffsets,omitempty"`
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
		d.Linux.Resources, d.Linux.Seccomp = nil, nil
	}
	for i, m := range spec.Mounts {
		// A relative destination is an old tolerance of runc that bundles rely on.
		if m.Destination != "" {
			spec.Mounts[i].Destination = filepath.Join("/", m.Destination)
		}
	}
	return spec, decodeParts(spec, &d)
}

// FormatSpec is the way back: the config.json that ParseSpec reads.
func FormatSpec(spec *specs.Spec) ([]byte, error) {
	if spec.Linux == nil {
		bare := *spec
		bare.Linux = &specs.Linux{}
		spec = &bare
	}
	d := document{Version: spec.Version, Process: spec.Process, Root: spec.Root, Hostname: spec.Hostname, Domainname: spec.Domainname,
		Mounts: spec.Mounts, Annotations: spec.Annotations}
	l := spec.Linux
	d.Linux = linuxDocument{UIDMappings: l.UIDMappings, GIDMappings: l.GIDMappings, Sysctl: l.Sysctl, CgroupsPath: l.CgroupsPath,
		Namespaces: l.Namespaces, Devices: l.Devices, RootfsPropagation: l.RootfsPropagation, MaskedPaths: l.MaskedPaths,
		ReadonlyPaths: l.ReadonlyPaths, MountLabel: l.MountLabel, TimeOffsets: l.TimeOffsets}
	for _, p := range parts(spec, &d) {
		if reflect.ValueOf(p.value).Elem().IsZero() {
			continue
		}
		text, err := json.Marshal(p.value)
		if err != nil {
			return nil, fmt.Errorf("config.json: %s: %w", p.name, err)
		}
		*p.text = text
	}
	return json.Marshal(d)
}

// part is one that the document has as text.
type part struct {
	name  string
	text  *json.RawMessage
	value any // a pointer to where the spec has it
}

func parts(spec *specs.Spec, d *document) []part {
	l := &d.Linux
	return []part{
		{"hooks", &d.Hooks, &spec.Hooks},
		{"linux.resources", &l.Resources, &spec.Linux.Resources},
		{"linux.netDevices", &l.NetDevices, &spec.Linux.NetDevices},
		{"linux.seccomp", &l.Seccomp, &spec.Linux.Seccomp},
		{"linux.intelRdt", &l.IntelRdt, &spec.Linux.IntelRdt},
		{"linux.memoryPolicy", &l.MemoryPolicy, &spec.Linux.MemoryPolicy},
		{"linux.personality", &l.Personality, &spec.Linux.Personality},
	}
}

// decodeParts decodes what was left as text, where there is any.
func decodeParts(spec *specs.Spec, d *document) error {
	for _, p := range parts(spec, d) {
		if len(*p.text) == 0 {
			continue
		}
		if err := json.Unmarshal(*p.text, p.value); err != nil {
			return fmt.Errorf("config.json: %s: %w", p.name, err)
		}
	}
	return nil
}
