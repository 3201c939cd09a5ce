package volumedemo

import (
	"fmt"
	"os"
	"path"
	"slices"
)

// Type is the kind of a mount, in the words of --mount type=.
type Type string

// The three types.
const (
	Bind   Type = "bind"   // a folder or file of the host
	Volume Type = "volume" // a folder that the store keeps
	Tmpfs  Type = "tmpfs"  // memory
)

// Spec is one mount as it was asked for, before anything is made.
type Spec struct {
	Type     Type   `json:"Type"`
	Source   string `json:"Source,omitempty"` // absolute path, or a volume's name; empty: tmpfs, anonymous volume
	Target   string `json:"Target"`           // absolute, in the container
	ReadOnly bool   `json:"ReadOnly,omitempty"`
	Mode     string `json:"Mode,omitempty"` // the third part of -v, as written

	Bind   BindOptions   `json:"BindOptions,omitzero"`
	Volume VolumeOptions `json:"VolumeOptions,omitzero"`
	Tmpfs  TmpfsOptions  `json:"TmpfsOptions,omitzero"`
}

// BindOptions are of use for bind mounts alone.
type BindOptions struct {
	Propagation   string    `json:"Propagation,omitempty"` // "" is rprivate
	NonRecursive  bool      `json:"NonRecursive,omitempty"`
	Recursive     Recursion `json:"Recursive,omitempty"`
	CreateMissing bool      `json:"CreateMissing,omitempty"` // -v does, --mount does not
}

// Recursion says how far "read-only" reaches down into what is mounted below a
// bind mount's source.
type Recursion string

// The values of bind-recursive= but for "disabled", which is NonRecursive.
const (
	IfPossible Recursion = ""         // "enabled"
	Writable   Recursion = "writable" // the top alone is read-only
	Forced     Recursion = "readonly" // all of it, or an error
)

// VolumeOptions are of use for volumes alone.
type VolumeOptions struct {
	NoCopy     bool              `json:"NoCopy,omitempty"` // no first-use copy
	Labels     map[string]string `json:"Labels,omitempty"`
	Driver     string            `json:"Driver,omitempty"`
	DriverOpts map[string]string `json:"DriverOpts,omitempty"`
	Subpath    string            `json:"Subpath,omitempty"` // a folder in the volume instead of all of it
}

// TmpfsOptions are of use for tmpfs alone.
type TmpfsOptions struct {
	Size    int64       `json:"SizeBytes,omitempty"` // bytes; 0 is the kernel's default, half of the memory
	Mode    os.FileMode `json:"Mode,omitempty"`      // 0 is 01777
	Options []string    `json:"Options,omitempty"`   // further options of --tmpfs, as mount(8) has them
}

// Invalid is a request that cannot be meant. Its text has Docker's words first
// and then what to write instead.
type Invalid struct{ Reason string }

func (i *Invalid) Error() string { return i.Reason }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// Validate checks what can be checked without looking at the machine.
func (s Spec) Validate() error {
	if err := checkTarget(s); err != nil {
		return err
	}
	switch s.Type {
	case Bind:
		return checkBind(s)
	case Volume:
		return checkVolume(s)
	case Tmpfs:
		return checkTmpfs(s)
	}
	return config(s, "mount type unknown: use bind, volume or tmpfs")
}

// config is an error about one mount, with Docker's opening words.
func config(s Spec, format string, args ...any) error {
	return invalid("invalid mount config for type %q: %s", s.Type, fmt.Sprintf(format, args...))
}

func checkTarget(s Spec) error {
	switch {
	case s.Target == "":
		return config(s, "field Target must not be empty: say where in the container, as target=/path")
	case !path.IsAbs(s.Target):
		return config(s, "invalid mount path: '%s' mount path must be absolute, that is, begin with /", s.Target)
	case path.Clean(s.Target) == "/":
		return config(s, "invalid specification: destination can't be '/': it would hide the whole container")
	}
	return nil
}

func checkBind(s Spec) error {
	switch {
	case s.Source == "":
		return config(s, "field Source must not be empty: say which folder or file of the host, as source=/path")
	case !path.IsAbs(s.Source):
		return config(s, "invalid mount path: '%s' mount path must be absolute; a name alone is a volume's, and takes type=volume", s.Source)
	case s.Bind.Propagation != "" && !slices.Contains(propagations, s.Bind.Propagation):
		return config(s, "invalid propagation mode: %s: use one of %s", s.Bind.Propagation, words(propagations))
	case s.Bind.Recursive == Forced && !s.ReadOnly:
		return config(s, "bind-recursive=readonly is about read-only mounts: add readonly")
	case s.Bind.Recursive == Forced && s.Bind.Propagation != "rprivate":
		// A mount that arrives later would be writable: the promise is kept only
		// where none can arrive.
		return config(s, "bind-recursive=readonly needs bind-propagation=rprivate, so that nothing writable arrives later")
	}
	return nil
}

func checkVolume(s Spec) error {
	if s.Source == "" && s.ReadOnly {
		return config(s, "must not set ReadOnly mode when using anonymous volumes: nobody could ever put anything into it")
	}
	if s.Bind != (BindOptions{}) {
		return config(s, "field BindOptions must not be specified: propagation is about bind mounts of host folders")
	}
	if s.Source != "" {
		if err := CheckName(s.Source); err != nil {
			return err
		}
	}
	if d := s.Volume.Driver; d != "" && d != "local" {
		return config(s, "volume driver %q is not known: there is only \"local\"", d)
	}
	if sub := s.Volume.Subpath; sub != "" && (path.IsAbs(sub) || !isLocal(sub)) {
		return config(s, "subpath %q must be a relative path within the volume", sub)
	}
	return nil
}

func checkTmpfs(s Spec) error {
	if s.Source != "" {
		return config(s, "field Source must not be specified: a tmpfs comes from memory and begins empty")
	}
	if s.Tmpfs.Size < 0 {
		return config(s, "size %d is negative", s.Tmpfs.Size)
	}
	return nil
}

// isLocal tells whether a relative path stays below where it starts.
func isLocal(p string) bool {
	p = path.Clean(p)
	return p != ".." && !(len(p) > 2 && p[:3] == "../")
}
