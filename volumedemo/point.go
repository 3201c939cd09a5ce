package volumedemo

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Point is one mount of one container, with its source known. The first fields
// are what docker inspect shows under Mounts.
type Point struct {
	Type        Type   `json:"Type"`
	Name        string `json:"Name,omitempty"` // the volume's
	Source      string `json:"Source"`         // absolute, on the host; "" for a tmpfs
	Destination string `json:"Destination"`    // absolute, in the container
	Driver      string `json:"Driver,omitempty"`
	Mode        string `json:"Mode"`
	RW          bool   `json:"RW"`
	Propagation string `json:"Propagation"` // of bind mounts

	Bind   BindOptions   `json:"BindOptions,omitzero"`
	Volume VolumeOptions `json:"VolumeOptions,omitzero"`
	Tmpfs  TmpfsOptions  `json:"TmpfsOptions,omitzero"`
}

// Mounts are points in the shape and order of config.json. The order matters: a
// mount on /a made after one on /a/b would hide it.
func Mounts(points []Point) []specs.Mount {
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b Point) int { return depth(a.Destination) - depth(b.Destination) })
	mounts := make([]specs.Mount, len(sorted))
	for i, p := range sorted {
		mounts[i] = p.Mount()
	}
	return mounts
}

func depth(path string) int { return strings.Count(path, "/") }

// Mount is the point as a mount of the OCI runtime specification.
func (p Point) Mount() specs.Mount {
	m := specs.Mount{Destination: p.Destination, Type: "bind", Source: p.Source}
	switch p.Type {
	case Tmpfs:
		m.Type, m.Source, m.Options = "tmpfs", "tmpfs", p.tmpfsOptions()
	case Volume:
		m.Options = append([]string{"rbind", "rprivate"}, p.access()...)
	default:
		m.Options = p.bindOptions()
	}
	return m
}

func (p Point) bindOptions() []string {
	how, propagation := "rbind", p.Propagation
	if p.Bind.NonRecursive {
		how = "bind"
	}
	if propagation == "" {
		propagation = "rprivate"
	}
	return append([]string{how, propagation}, p.access()...)
}

// access is "ro" for the mount itself; "rro" is for all that is mounted below it
// too, which takes mount_setattr(2) and Linux 5.12.
func (p Point) access() []string {
	switch {
	case p.RW:
		return []string{"rw"}
	case p.Bind.NonRecursive || p.Bind.Recursive == Writable:
		return []string{"ro"}
	}
	return []string{"ro", "rro"}
}

// tmpfsOptions begin with what Docker takes from every tmpfs. A later option
// wins, so that --tmpfs /run:exec is possible.
func (p Point) tmpfsOptions() []string {
	options := []string{"nosuid", "nodev", "noexec"}
	if p.Tmpfs.Mode != 0 {
		options = append(options, fmt.Sprintf("mode=%o", uint32(p.Tmpfs.Mode)))
	} else if !slices.ContainsFunc(p.Tmpfs.Options, isModeOption) {
		options = append(options, "mode=1777")
	}
	if p.Tmpfs.Size > 0 {
		options = append(options, fmt.Sprintf("size=%d", p.Tmpfs.Size))
	}
	options = append(options, p.Tmpfs.Options...)
	if !p.RW && !slices.Contains(options, "ro") {
		options = append(options, "ro")
	}
	return options
}

func isModeOption(o string) bool { return strings.HasPrefix(o, "mode=") }
