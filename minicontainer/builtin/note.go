package builtin

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

// notes is <root>/builtin/<driver>.json: which images were made, of what. It
// only saves work: when it is lost or damaged, images are made again, and come
// out the same.
type notes struct {
	Recipe int
	Images map[string]note
}

type note struct {
	Key string // the state of the programs, see key
	ID  digest.Digest
}

func notesPath(s *image.Store) string {
	return filepath.Join(s.Root(), "builtin", s.Driver.Name()+".json")
}

func readNotes(s *image.Store) notes {
	var n notes
	data, err := os.ReadFile(notesPath(s))
	if err != nil || json.Unmarshal(data, &n) != nil || n.Recipe != recipe || n.Images == nil {
		return notes{Recipe: recipe, Images: map[string]note{}}
	}
	return n
}

// writeNote replaces the file by rename(2). Two processes that do so at once may
// lose one note, which costs making an image again.
func writeNote(s *image.Store, name string, made note) error {
	n := readNotes(s)
	n.Images[name] = made
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	path := notesPath(s)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
