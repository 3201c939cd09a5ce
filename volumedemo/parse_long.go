package volumedemo

import (
	"encoding/csv"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cutaway/internal/size"
)

// ParseMount reads the long form, --mount KEY=VALUE,... A field with a comma in
// it is put in double quotes, as in a CSV file. A relative bind source counts
// from dir when it begins with ".".
func ParseMount(text, dir string) (Spec, error) {
	s := Spec{Type: Volume}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return s, invalid("invalid argument %q for --mount: %v", text, err)
	}
	given := map[string]bool{}
	for _, field := range fields {
		key, err := s.setField(field)
		if err != nil {
			return s, err
		}
		given[key] = true
	}
	if s.Target == "" {
		return s, invalid("target is required: say where in the container, as target=/path")
	}
	if err := mixed(s.Type, given); err != nil {
		return s, err
	}
	if s.Type == Bind && strings.HasPrefix(s.Source, ".") {
		s.Source = path.Join(dir, s.Source)
	}
	if err := s.Validate(); err != nil {
		return s, err
	}
	s.Target = path.Clean(s.Target)
	if s.Type == Bind {
		s.Source = path.Clean(s.Source)
	}
	return s, nil
}

// longKeys are the keys of --mount; some have several names.
var longKeys = sync.OnceValue(func() map[string]func(s *Spec, key, value string) error {
	return map[string]func(s *Spec, key, value string) error{
		"type":              func(s *Spec, _, v string) error { s.Type = Type(strings.ToLower(v)); return nil },
		"source":            setSource,
		"src":               setSource,
		"target":            setTarget,
		"dst":               setTarget,
		"destination":       setTarget,
		"readonly":          setReadOnly,
		"ro":                setReadOnly,
		"consistency":       func(*Spec, string, string) error { return nil }, // for Docker Desktop; no effect on Linux
		"bind-propagation":  func(s *Spec, _, v string) error { s.Bind.Propagation = strings.ToLower(v); return nil },
		"bind-nonrecursive": func(s *Spec, k, v string) error { return setBool(&s.Bind.NonRecursive, k, v) },
		"bind-recursive":    setRecursive,
		"volume-nocopy":     func(s *Spec, k, v string) error { return setBool(&s.Volume.NoCopy, k, v) },
		"volume-label":      func(s *Spec, _, v string) error { return put(&s.Volume.Labels, v) },
		"volume-driver":     func(s *Spec, _, v string) error { s.Volume.Driver = v; return nil },
		"volume-opt":        func(s *Spec, _, v string) error { return put(&s.Volume.DriverOpts, v) },
		"volume-subpath":    func(s *Spec, _, v string) error { s.Volume.Subpath = v; return nil },
		"tmpfs-size":        setTmpfsSize,
		"tmpfs-mode":        setTmpfsMode,
	}
})

// flagKeys may stand without a value and then are true.
var flagKeys = []string{"readonly", "ro", "volume-nocopy", "bind-nonrecursive"}

// setField takes one KEY=VALUE.
func (s *Spec) setField(field string) (key string, err error) {
	key, value, hasValue := strings.Cut(field, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	apply, known := longKeys()[key]
	switch {
	case !known:
		return key, invalid("unexpected key '%s' in '%s': the keys are %s", key, field, strings.Join(slices.Sorted(maps.Keys(longKeys())), ", "))
	case !hasValue && slices.Contains(flagKeys, key):
		value = "true"
	case !hasValue:
		return key, invalid("invalid field '%s' must be a key=value pair", field)
	}
	return key, apply(s, key, value)
}

// mixed refuses options of another type: they would have no effect, and whoever
// wrote them believes that they have.
func mixed(t Type, given map[string]bool) error {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		family, _, _ := strings.Cut(key, "-")
		if strings.Contains(key, "-") && family != string(t) {
			return invalid("cannot mix '%s-*' options with mount type '%s': take %s out, or say type=%s", family, t, key, family)
		}
	}
	return nil
}

func setSource(s *Spec, _, v string) error { s.Source = v; return nil }
func setTarget(s *Spec, _, v string) error { s.Target = v; return nil }

func setReadOnly(s *Spec, k, v string) error { return setBool(&s.ReadOnly, k, v) }

func setBool(to *bool, key, value string) error {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return invalid("invalid value for %s: %s: write true or false, or the key alone", key, value)
	}
	*to = b
	return nil
}

// setRecursive takes Docker's four words.
func setRecursive(s *Spec, key, value string) error {
	switch value {
	case "enabled":
	case "disabled":
		s.Bind.NonRecursive = true
	case "writable", "readonly":
		s.Bind.Recursive = Recursion(value)
	default:
		return invalid("invalid value for %s: %s (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")", key, value)
	}
	return nil
}

// put takes NAME=VALUE into a map.
func put(to *map[string]string, pair string) error {
	name, value, _ := strings.Cut(pair, "=")
	if name == "" {
		return invalid("invalid value %q: write NAME=VALUE", pair)
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[name] = value
	return nil
}

func setTmpfsSize(s *Spec, key, value string) error {
	n, err := size.Parse(value)
	if err != nil {
		return invalid("invalid value for %s: %s: %v", key, value, err)
	}
	s.Tmpfs.Size = n
	return nil
}

// setTmpfsMode takes an octal mode, with the sticky and set-id bits in it.
func setTmpfsMode(s *Spec, key, value string) error {
	n, err := strconv.ParseUint(value, 8, 32)
	if err != nil || n > 0o7777 {
		return invalid("invalid value for %s: %s: write an octal mode such as 1770", key, value)
	}
	s.Tmpfs.Mode = os.FileMode(n)
	return nil
}
