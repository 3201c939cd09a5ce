package image

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Repositories is the content of repositories.json:
//
//	{"Repositories":{"alpine":{"alpine:latest":"sha256:...","alpine@sha256:...":"sha256:..."}}}
//
// The values are image ids. The digest in a key is the manifest's, as the
// registry knows it.
type Repositories map[string]map[string]digest.Digest

// ParseRepositories reads repositories.json and refuses entries that could not
// be used as names.
func ParseRepositories(data []byte) (Repositories, error) {
	var file struct{ Repositories Repositories }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("repositories.json: %w", err)
	}
	for repo, names := range file.Repositories {
		for name, id := range names {
			ref, err := ParseReference(name)
			if err != nil {
				return nil, fmt.Errorf("repositories.json: %w", err)
			}
			if ref.Repository() != repo {
				return nil, fmt.Errorf("repositories.json: %q stands below repository %q", name, repo)
			}
			if err := CheckDigest(id); err != nil {
				return nil, fmt.Errorf("repositories.json: %q: %w", name, err)
			}
		}
	}
	if file.Repositories == nil {
		file.Repositories = make(Repositories)
	}
	return file.Repositories, nil
}

// Encode writes the file's bytes; encoding/json sorts the keys.
func (r Repositories) Encode() ([]byte, error) {
	return json.Marshal(struct{ Repositories Repositories }{r})
}

func (s *Store) repositories() (Repositories, error) {
	data, err := readMaybe(s.path("repositories.json"))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return make(Repositories), nil
	}
	return ParseRepositories(data)
}

// changeRepositories reads, changes and writes the file under the store's lock.
func (s *Store) changeRepositories(change func(Repositories) error) error {
	return s.locked(func() error {
		r, err := s.repositories()
		if err != nil {
			return err
		}
		if err := change(r); err != nil {
			return err
		}
		data, err := r.Encode()
		if err != nil {
			return err
		}
		return writeFile(s.path("repositories.json"), data)
	})
}

// Tag gives the image id a name. A name that another image had moves over; that
// image keeps existing, without a name ("dangling").
func (s *Store) Tag(ref Reference, id digest.Digest) error {
	if _, err := s.Get(id); err != nil {
		return err
	}
	return s.changeRepositories(func(r Repositories) error {
		repo := ref.Repository()
		if r[repo] == nil {
			r[repo] = make(map[string]digest.Digest)
		}
		r[repo][ref.Name()] = id
		return nil
	})
}

// Untag takes one name away. fs.ErrNotExist if there is none.
func (s *Store) Untag(ref Reference) error {
	return s.changeRepositories(func(r Repositories) error {
		repo := ref.Repository()
		if _, ok := r[repo][ref.Name()]; !ok {
			return fmt.Errorf("image name %s: %w", ref.Name(), fs.ErrNotExist)
		}
		delete(r[repo], ref.Name())
		if len(r[repo]) == 0 {
			delete(r, repo)
		}
		return nil
	})
}

// Names lists the names of an image, sorted, digests after tags.
func (s *Store) Names(id digest.Digest) ([]Reference, error) {
	r, err := s.repositories()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, repo := range r {
		for name, to := range repo {
			if to == id {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if da, db := strings.Contains(a, "@"), strings.Contains(b, "@"); da != db {
			if da {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	refs := make([]Reference, len(names))
	for i, n := range names {
		refs[i], _ = ParseReference(n) // checked by ParseRepositories
	}
	return refs, nil
}

// Resolve finds an image by name, by id or by the beginning of an id. A name
// wins over the beginning of an id, as in Docker: "cafe" may be either.
func (s *Store) Resolve(name string) (*Image, error) {
	if d := digest.Digest(name); strings.HasPrefix(name, "sha256:") && CheckDigest(d) == nil {
		return s.Get(d)
	}
	if ref, err := ParseReference(name); err == nil {
		r, err := s.repositories()
		if err != nil {
			return nil, err
		}
		if id, ok := r[ref.Repository()][ref.Name()]; ok {
			return s.Get(id)
		}
	}
	return s.byPrefix(name)
}

func (s *Store) byPrefix(name string) (*Image, error) {
	prefix := strings.TrimPrefix(name, "sha256:")
	missing := fmt.Errorf("no such image: %s: %w (look at `cutaway image ls`)", name, fs.ErrNotExist)
	if !isHex(prefix) || len(prefix) > 64 {
		return nil, missing
	}
	all, err := s.ids()
	if err != nil {
		return nil, err
	}
	var found []digest.Digest
	for _, id := range all {
		if strings.HasPrefix(id.Encoded(), prefix) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return nil, missing
	case 1:
		return s.Get(found[0])
	}
	return nil, fmt.Errorf("image id %s is the beginning of %d ids; write more digits", name, len(found))
}

// AllNames lists all names with their images, sorted.
func (s *Store) AllNames() (map[string]digest.Digest, error) {
	r, err := s.repositories()
	if err != nil {
		return nil, err
	}
	all := make(map[string]digest.Digest)
	for _, repo := range r {
		maps.Copy(all, repo)
	}
	return all, nil
}
