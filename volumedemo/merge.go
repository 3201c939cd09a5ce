package volumedemo

import (
	"path"
	"slices"
	"strings"
)

// Request is all that one container asks for, from all its options and its image.
type Request struct {
	From   []Inherited // --volumes-from, in order
	Specs  []Spec      // -v, --mount, --tmpfs
	Volume []string    // the image's VOLUME lines: folders in the container
}

// Inherited are the mounts of another container.
type Inherited struct {
	Points   []Point
	ReadOnly bool
}

// Merged is a request in which every place has one owner.
type Merged struct {
	Inherited []Point
	Specs     []Spec
}

// Merge settles who gets which place, by Docker's rules: what was asked for by
// name wins over what another container lends, that over what the image wants,
// and two wishes for one place are a mistake.
func Merge(r Request) (Merged, error) {
	var m Merged
	owner := map[string]bool{}
	for _, s := range r.Specs {
		if err := s.Validate(); err != nil {
			return m, err
		}
		place := path.Clean(s.Target)
		if owner[place] {
			return m, invalid("Duplicate mount point: %s: two options want this place; leave one out", place)
		}
		owner[place] = true
		s.Target = place
		m.Specs = append(m.Specs, s)
	}
	m.inherit(r.From, owner)
	for _, v := range r.Volume {
		place := path.Clean("/" + v)
		if place == "/" || owner[place] {
			continue
		}
		owner[place] = true
		m.Specs = append(m.Specs, Spec{Type: Volume, Target: place})
	}
	return m, nil
}

// inherit takes the other containers' mounts. A later --volumes-from wins over
// an earlier one at the same place.
func (m *Merged) inherit(from []Inherited, owner map[string]bool) {
	for i := len(from) - 1; i >= 0; i-- {
		for _, p := range from[i].Points {
			if owner[p.Destination] || p.Type == Tmpfs { // memory cannot be lent: it is the other one's own
				continue
			}
			owner[p.Destination] = true
			p.RW = p.RW && !from[i].ReadOnly
			if !p.RW && from[i].ReadOnly {
				p.Mode = "ro"
			}
			// Whoever used it first has filled it, and a folder that has gone since
			// is not made anew behind his back.
			p.Volume.NoCopy, p.Bind.CreateMissing = true, false
			m.Inherited = append(m.Inherited, p)
		}
	}
	slices.SortStableFunc(m.Inherited, func(a, b Point) int { return strings.Compare(a.Destination, b.Destination) })
}
