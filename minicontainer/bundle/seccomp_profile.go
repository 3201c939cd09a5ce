package bundle

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Profile is a seccomp profile as Docker's --security-opt seccomp=FILE has it:
// the runtime specification's object, with rules that hold for some containers
// only.
type Profile struct {
	DefaultAction specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrno  *uint                    `json:"defaultErrnoRet,omitempty"`
	Architectures []specs.Arch             `json:"architectures,omitempty"`
	ArchMap       []ArchMap                `json:"archMap,omitempty"`
	Flags         []specs.LinuxSeccompFlag `json:"flags,omitempty"`
	Syscalls      []ProfileRule            `json:"syscalls"`
}

// ArchMap says which further tables a kernel of one architecture also serves.
type ArchMap struct {
	Architecture     specs.Arch   `json:"architecture"`
	SubArchitectures []specs.Arch `json:"subArchitectures"`
}

// ProfileRule is a rule with its conditions.
type ProfileRule struct {
	Name     string                   `json:"name,omitempty"` // the older form
	Names    []string                 `json:"names,omitempty"`
	Action   specs.LinuxSeccompAction `json:"action"`
	ErrnoRet *uint                    `json:"errnoRet,omitempty"`
	Args     []specs.LinuxSeccompArg  `json:"args,omitempty"`
	Includes Condition                `json:"includes,omitzero"`
	Excludes Condition                `json:"excludes,omitzero"`
}

// Condition is about the container: capabilities that it has, architectures
// that it runs on (in Go's words).
type Condition struct {
	Caps   []string `json:"caps,omitempty"`
	Arches []string `json:"arches,omitempty"`
}

// ParseProfile reads a profile.
func ParseProfile(text []byte) (*Profile, error) {
	p := &Profile{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("decoding seccomp profile failed: %w", err)
	}
	if len(p.Architectures) > 0 && len(p.ArchMap) > 0 {
		return nil, fmt.Errorf("both 'architectures' and 'archMap' are specified in the seccomp profile")
	}
	return p, nil
}

var archNames = sync.OnceValue(func() map[string][]specs.Arch {
	return map[string][]specs.Arch{
		"amd64": {specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		"arm64": {specs.ArchAARCH64, specs.ArchARM},
		"386":   {specs.ArchX86},
	}
})

// filter is the profile for a container with these capabilities, nil without one.
func (s *security) filter(caps []string) (*specs.LinuxSeccomp, error) {
	p := s.profile
	if p == nil || p.DefaultAction == "" {
		return nil, nil
	}
	f := &specs.LinuxSeccomp{DefaultAction: p.DefaultAction, DefaultErrnoRet: p.DefaultErrno, Architectures: p.architectures(), Flags: p.Flags}
	for _, r := range p.Syscalls {
		if !r.holds(caps) {
			continue
		}
		names := r.Names
		if r.Name != "" {
			names = append(slices.Clone(names), r.Name)
		}
		f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: names, Action: r.Action, ErrnoRet: r.ErrnoRet, Args: r.Args})
	}
	return f, nil
}

func (p *Profile) architectures() []specs.Arch {
	if len(p.Architectures) > 0 {
		return p.Architectures
	}
	ours := archNames()[runtime.GOARCH]
	for _, m := range p.ArchMap {
		if len(ours) > 0 && m.Architecture == ours[0] {
			return append([]specs.Arch{m.Architecture}, m.SubArchitectures...)
		}
	}
	return ours
}

func (r *ProfileRule) holds(caps []string) bool {
	has := func(c string) bool { return slices.Contains(caps, c) }
	in, out := r.Includes, r.Excludes
	if slices.ContainsFunc(out.Caps, has) || slices.Contains(out.Arches, runtime.GOARCH) {
		return false
	}
	if len(in.Arches) > 0 && !slices.Contains(in.Arches, runtime.GOARCH) {
		return false
	}
	return !slices.ContainsFunc(in.Caps, func(c string) bool { return !has(c) })
}
