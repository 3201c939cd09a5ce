package volumedemo

import (
	"path"
	"strings"
)

// ParseVolume reads the short form, -v [SOURCE:]TARGET[:MODE].
//
// SOURCE is a path of the host when it begins with "/" or ".", else a volume's
// name. A relative one counts from dir, where the person who typed it stands.
func ParseVolume(text, dir string) (Spec, error) {
	parts := strings.Split(text, ":")
	s := Spec{Type: Volume}
	switch {
	case len(parts) == 1:
		s.Target = parts[0]
	case len(parts) == 2 && isMode(parts[1]):
		return s, invalid("invalid volume specification: '%s': %q is a mode, not a path: write SOURCE:TARGET:%s", text, parts[1], parts[1])
	case len(parts) == 2, len(parts) == 3:
		s.Source, s.Target = parts[0], parts[1]
	default:
		return s, invalid("invalid volume specification: '%s': there are more than three parts; a path with a colon takes --mount", text)
	}
	if s.Target == "" || len(parts) > 1 && s.Source == "" {
		return s, invalid("invalid volume specification: '%s': write [SOURCE:]TARGET[:MODE], with no part empty", text)
	}
	if len(parts) == 3 {
		s.Mode = parts[2]
	}
	if err := s.applyMode(dir); err != nil {
		return s, err
	}
	if err := s.Validate(); err != nil {
		return s, invalid("invalid volume specification: '%s': %v", text, err)
	}
	s.Target = path.Clean(s.Target)
	return s, nil
}

// applyMode finds out what the source is, and gives the words their meaning.
func (s *Spec) applyMode(dir string) error {
	if strings.HasPrefix(s.Source, "/") || s.Source == "." || s.Source == ".." || strings.HasPrefix(s.Source, "./") || strings.HasPrefix(s.Source, "../") {
		if !path.IsAbs(s.Source) {
			s.Source = path.Join(dir, s.Source)
		}
		s.Type, s.Source = Bind, path.Clean(s.Source)
		s.Bind.CreateMissing = true
	}
	if s.Mode == "" {
		return nil
	}
	m, err := parseMode(s.Mode)
	if err != nil {
		return err
	}
	s.ReadOnly, s.Volume.NoCopy, s.Bind.Propagation = m.readOnly, m.noCopy, m.propagation
	return nil
}
