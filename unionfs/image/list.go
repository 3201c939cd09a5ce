package image

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// A Row is one line of `docker images`: an image under one of its names. What
// it has not is "<none>".
type Row struct {
	Repository string
	Tag        string
	Digest     string
	ID         digest.Digest
	Created    time.Time
	Size       int64
	Labels     map[string]string
}

const none = "<none>"

// A Filter keeps rows; all filters of a list must agree.
type Filter func(s *Store, img *Image, r Row) (bool, error)

// List returns all images under all their names, the newest first, names sorted.
// An image that others were made from and that has no name is an intermediate
// one, and is left out.
func (s *Store) List(filters ...Filter) ([]Row, error) { return s.list(false, filters) }

// ListAll is List with the intermediate images.
func (s *Store) ListAll(filters ...Filter) ([]Row, error) { return s.list(true, filters) }

func (s *Store) list(intermediate bool, filters []Filter) ([]Row, error) {
	images, err := s.All()
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, img := range images {
		of, err := s.rows(img, intermediate)
		if err != nil {
			return nil, err
		}
		for _, r := range of {
			keep, err := s.keep(img, r, filters)
			if err != nil {
				return nil, err
			}
			if keep {
				rows = append(rows, r)
			}
		}
	}
	return rows, nil
}

func (s *Store) keep(img *Image, r Row, filters []Filter) (bool, error) {
	for _, f := range filters {
		if ok, err := f(s, img, r); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// rows makes a row for every tag of an image; a name by digest only counts where
// the repository has no tag for it.
func (s *Store) rows(img *Image, intermediate bool) ([]Row, error) {
	size, err := s.Size(img)
	if err != nil {
		return nil, err
	}
	row := Row{Repository: none, Tag: none, Digest: none, ID: img.ImageID, Created: img.Created, Size: size}
	if img.Config != nil {
		row.Labels = img.Config.Labels
	}
	names, err := s.Names(img.ImageID)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		children, err := s.Children(img.ImageID)
		if err != nil || len(children) > 0 && !intermediate {
			return nil, err
		}
		return []Row{row}, nil
	}
	return namedRows(row, names), nil
}

func namedRows(row Row, names []Reference) []Row {
	digests, tagged := make(map[string]string), make(map[string]bool)
	for _, n := range names {
		if n.Digest != "" {
			digests[n.Repository()] = n.Digest.String()
		}
	}
	var rows []Row
	for _, n := range names { // tags come first, see Names
		r := row
		r.Repository = n.Repository()
		if d := digests[r.Repository]; d != "" {
			r.Digest = d
		}
		if n.Digest == "" {
			r.Tag, tagged[r.Repository] = n.Tag, true
		} else if tagged[r.Repository] {
			continue
		}
		rows = append(rows, r)
	}
	return rows
}

// ParseFilter reads one --filter: dangling=true, label=k or label=k=v,
// before=IMAGE, since=IMAGE, reference=PATTERN, until=24h or until=2026-01-31.
func ParseFilter(text string) (Filter, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || value == "" {
		return nil, fmt.Errorf("filter %q: want KEY=VALUE", text)
	}
	switch key {
	case "dangling":
		return dangling(value)
	case "label":
		return label(value), nil
	case "before", "since":
		return relative(key, value), nil
	case "reference":
		if _, err := path.Match(value, ""); err != nil {
			return nil, fmt.Errorf("filter %q: %w", text, err)
		}
		return reference(value), nil
	case "until":
		return until(value, time.Now())
	}
	return nil, fmt.Errorf("filter %q: want one of before dangling label reference since until", text)
}

func dangling(value string) (Filter, error) {
	want := slices.Index([]string{"false", "true"}, value)
	if want < 0 {
		return nil, fmt.Errorf("filter dangling=%s: want true or false", value)
	}
	return func(_ *Store, _ *Image, r Row) (bool, error) {
		return (r.Tag == none && r.Digest == none) == (want == 1), nil
	}, nil
}

func label(want string) Filter {
	key, value, withValue := strings.Cut(want, "=")
	return func(_ *Store, _ *Image, r Row) (bool, error) {
		v, ok := r.Labels[key]
		return ok && (!withValue || v == value), nil
	}
}

func relative(key, name string) Filter {
	return func(s *Store, img *Image, _ Row) (bool, error) {
		other, err := s.Resolve(name)
		if err != nil {
			return false, err
		}
		if key == "before" {
			return img.Created.Before(other.Created), nil
		}
		return img.Created.After(other.Created), nil
	}
}

// until keeps what is older than a time span, or than a moment.
func until(value string, now time.Time) (Filter, error) {
	limit, err := time.Parse(time.RFC3339, value)
	if err != nil {
		limit, err = time.Parse(time.DateOnly, value)
	}
	if span, spanErr := time.ParseDuration(value); spanErr == nil {
		limit, err = now.Add(-span), nil
	}
	return func(_ *Store, img *Image, _ Row) (bool, error) { return img.Created.Before(limit), nil }, err
}

// reference matches "repository" or "repository:tag" with shell wildcards.
func reference(pattern string) Filter {
	return func(_ *Store, _ *Image, r Row) (bool, error) {
		for _, name := range []string{r.Repository, r.Repository + ":" + r.Tag} {
			if ok, _ := path.Match(pattern, name); ok {
				return true, nil
			}
		}
		return false, nil
	}
}
