package volumedemo

import "strings"

// From is what --volumes-from asks for.
type From struct {
	Container string
	Mode      string // as written
	ReadOnly  bool   // none of them may be written here
}

// ParseFrom reads --volumes-from CONTAINER[:ro|rw].
func ParseFrom(text string) (From, error) {
	name, words, has := strings.Cut(text, ":")
	f := From{Container: name, Mode: words}
	if name == "" {
		return f, invalid("volumes-from specification cannot be an empty string: name the container whose volumes to use")
	}
	if !has {
		return f, nil
	}
	m, err := parseMode(words)
	if err != nil {
		return f, err
	}
	if m.propagation != "" || m.noCopy {
		return f, invalid("invalid mode: %s: --volumes-from takes ro, rw, z or Z; all else is as the other container has it", words)
	}
	f.ReadOnly = m.readOnly
	return f, nil
}
