package volumedemo

import (
	"path"
	"slices"
	"strings"
)

// tmpfsFlags are the mount flags that --tmpfs takes, and tmpfsKeys tmpfs's own
// options (tmpfs(5)).
var (
	tmpfsFlags = []string{"ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async",
		"dirsync", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
		"private", "rprivate", "shared", "rshared", "slave", "rslave"}
	tmpfsKeys = []string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"}
)

// ParseTmpfs reads --tmpfs TARGET[:OPTIONS], the options as mount(8) has them.
func ParseTmpfs(text string) (Spec, error) {
	target, options, _ := strings.Cut(text, ":")
	s := Spec{Type: Tmpfs, Target: target}
	if err := s.Validate(); err != nil {
		return s, err
	}
	s.Target = path.Clean(target)
	if options == "" {
		return s, nil
	}
	for option := range strings.SplitSeq(options, ",") {
		key, _, _ := strings.Cut(option, "=")
		if !slices.Contains(tmpfsFlags, option) && (key == option || !slices.Contains(tmpfsKeys, key)) {
			return s, invalid("invalid tmpfs option %q: use %s, or one of %s with a value", option, words(tmpfsFlags), words(tmpfsKeys))
		}
		s.ReadOnly = option == "ro" || s.ReadOnly && option != "rw"
		s.Tmpfs.Options = append(s.Tmpfs.Options, option)
	}
	return s, nil
}
