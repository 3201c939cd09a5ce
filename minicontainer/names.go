package minicontainer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// validName is ^[a-zA-Z0-9][a-zA-Z0-9_.-]+$, without an expression that would be
// compiled at every start of a shim.
func validName(name string) bool {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r))
	}
	return len(name) > 1 && !strings.ContainsFunc(name, odd) && !strings.ContainsRune("_.-", rune(name[0]))
}

// A name is a link in ROOT/names whose target is the id: symlink(2) fails when
// the name is there, so of two containers one gets it, and a name leads to its
// container without reading any other.
func (e *Engine) namePath(name string) string { return filepath.Join(e.root, "names", name) }

// claimName gives the name to the container id.
func (e *Engine) claimName(name, id string) error {
	if !validName(name) {
		return invalidf("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
	}
	for {
		err := os.Symlink(id, e.namePath(name))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		holder, err := os.Readlink(e.namePath(name))
		if err != nil {
			continue // given up since
		}
		if err := e.sweepOne(holder); err != nil { // it may be what a maker or remover left that died
			return err
		}
		if _, err := os.Lstat(e.containerDir(holder)); err == nil {
			return conflictf("Conflict. The container name %q is already in use by container %q. "+
				"You have to remove (or rename) that container to be able to reuse that name.", "/"+name, holder)
		}
		// Its container is gone, and did not give it up.
		if err := e.dropName(name, holder); err != nil {
			return err
		}
	}
}

// dropName gives a name up, if the container still has it.
func (e *Engine) dropName(name, id string) error {
	if holder, err := os.Readlink(e.namePath(name)); err != nil || holder != id {
		return nil
	}
	err := os.Remove(e.namePath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// claimRandomName tries two random words, then with a number behind.
func (e *Engine) claimRandomName(id string) (string, error) {
	for try := 0; ; try++ {
		name := randomName(try)
		err := e.claimName(name, id)
		var taken *Conflict
		if err == nil || !errors.As(err, &taken) {
			return name, err
		}
	}
}

// resolve finds a container's id: the whole id, then a name, then the beginning
// of one id only, as Docker does.
func (e *Engine) resolve(ref string) (string, error) {
	name := strings.TrimPrefix(ref, "/")
	if name == "" || strings.Contains(name, "/") || name[0] == '.' {
		return "", &NotFound{ref}
	}
	if len(name) == 64 {
		if _, err := os.Lstat(e.File(name, "config.v2.json")); err == nil {
			return name, nil
		}
	}
	if id, err := os.Readlink(e.namePath(name)); err == nil {
		return id, nil
	}
	ids, err := e.ids()
	if err != nil {
		return "", err
	}
	var found []string
	for _, id := range ids {
		if strings.HasPrefix(id, name) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", &NotFound{ref}
	case 1:
		return found[0], nil
	}
	return "", invalidf("Multiple IDs found with provided prefix: %s", ref)
}

// ids lists the folders of containers, those half made included.
func (e *Engine) ids() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(e.root, "containers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, entry := range entries {
		if len(entry.Name()) == 64 {
			ids = append(ids, entry.Name())
		}
	}
	sort.Strings(ids)
	return ids, err
}
