package overlay2

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A Spec is one overlay mount.
type Spec struct {
	Home   string   // the folder that relative paths start from
	Lowers []string // short paths, topmost first
	Upper  string   // relative to Home, "" for a read-only mount
	Work   string   // relative to Home; on the file system of Upper
	Extra  []string // further options, such as index=off
	Label  string   // SELinux context, "" for none
}

// Way is how the options reach the kernel.
type Way int

const (
	Absolute Way = iota // mount(2) with full paths
	Relative            // mount(2) from within Home, with short paths
	Fsconfig            // fsconfig(2), one option per call, without a page limit
)

func (w Way) String() string {
	return [...]string{"mount(2) with full paths", "mount(2) with short names", "fsconfig(2)"}[w]
}

// Page is the most bytes of options that mount(2) takes, a closing NUL included.
const Page = 4096

// Plan chooses the first way whose options fit: full paths say most to the one
// who reads /proc/self/mountinfo, short names fit more layers, and the new mount
// API has no such limit.
func (s Spec) Plan() Way {
	switch {
	case len(s.Options(true)) < Page:
		return Absolute
	case len(s.Options(false)) < Page:
		return Relative
	}
	return Fsconfig
}

// Options is the option string of mount(2), with full or short paths.
func (s Spec) Options(full bool) string {
	var b strings.Builder
	for _, kv := range s.KeyValues() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(kv.Key)
		if kv.Value == "" {
			continue
		}
		b.WriteByte('=')
		b.WriteString(s.value(kv, full))
	}
	return b.String()
}

// A KeyValue is one mount option; Value "" is a flag.
type KeyValue struct{ Key, Value string }

// KeyValues lists the options in the order in which Docker writes them.
func (s Spec) KeyValues() []KeyValue {
	var list []KeyValue
	for _, e := range s.Extra {
		k, v, _ := strings.Cut(e, "=")
		list = append(list, KeyValue{k, v})
	}
	if s.Label != "" {
		list = append(list, KeyValue{"context", fmt.Sprintf("%q", s.Label)})
	}
	list = append(list, KeyValue{"lowerdir", strings.Join(s.Lowers, ":")})
	if s.Upper != "" {
		list = append(list, KeyValue{"upperdir", s.Upper}, KeyValue{"workdir", s.Work})
	}
	return list
}

func (s Spec) value(kv KeyValue, full bool) string {
	if !full {
		return kv.Value
	}
	switch kv.Key {
	case "lowerdir":
		dirs := strings.Split(kv.Value, ":")
		for i, dir := range dirs {
			dirs[i] = filepath.Join(s.Home, dir)
		}
		return strings.Join(dirs, ":")
	case "upperdir", "workdir":
		return filepath.Join(s.Home, kv.Value)
	}
	return kv.Value
}

// Check refuses paths that the option syntax cannot carry: ":" parts lower
// folders and "," parts options, and mount(2)'s parser offers no way out that
// all kernels understand.
func (s Spec) Check() error {
	if strings.ContainsAny(s.Home, ":,\\") {
		return fmt.Errorf("state folder %q: overlay mount options cannot hold ':', ',' or '\\'", s.Home)
	}
	if len(s.Lowers) == 0 {
		return fmt.Errorf("overlay mount without a lower folder")
	}
	return nil
}
