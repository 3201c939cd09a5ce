package volumedemo

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CreateOptions are what docker volume create takes.
type CreateOptions struct {
	Name   string // "" is anonymous
	Driver string // "" is local
	Labels map[string]string
	Opts   map[string]string // of the driver
}

// Create makes a volume: mkdir(2) and rename(2). One of that name that exists
// already is returned as it is, which is how a first container and every later
// one can ask in the same words.
func (s *Store) Create(o CreateOptions) (Info, error) {
	if err := o.check(); err != nil {
		return Info{}, err
	}
	release, err := s.Hold()
	if err != nil {
		return Info{}, err
	}
	defer release()
	if o.Name == "" {
		o.Name = newName()
		o.Labels = maps.Clone(o.Labels)
		_ = put(&o.Labels, AnonymousLabel+"=")
	}
	if err := s.make(o); err != nil && !errors.Is(err, unix.EEXIST) {
		return Info{}, fmt.Errorf("create volume %s: %w", o.Name, err)
	}
	return s.Inspect(o.Name)
}

func (o CreateOptions) check() error {
	if o.Driver != "" && o.Driver != "local" {
		return invalid("error looking up volume plugin %s: plugin %q not found: there is only \"local\"", o.Driver, o.Driver)
	}
	for key := range o.Opts {
		return invalid("invalid option: %q: volumes here are plain folders; mount the device yourself, and bind it with -v /where/it/is:/target", key)
	}
	if o.Name == "" {
		return nil
	}
	return CheckName(o.Name)
}

// make builds the folder under a name that nobody lists, and gives it its own
// when it is whole. RENAME_NOREPLACE: of two who make the same volume one wins,
// and nobody's content is replaced.
func (s *Store) make(o CreateOptions) error {
	stage, err := os.MkdirTemp(s.Dir, newPrefix)
	if err != nil {
		return err
	}
	err = fillStage(stage, o.Labels)
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, stage, unix.AT_FDCWD, filepath.Join(s.Dir, o.Name), unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(stage)) // ours alone, and nothing is mounted in it
	}
	return nil
}

func fillStage(stage string, labels map[string]string) error {
	// 0701, as Docker's: others may pass through, but not look around. The
	// umask would narrow the modes, so they are set anew.
	data := filepath.Join(stage, dataName)
	err := errors.Join(os.Chmod(stage, 0o701), os.Mkdir(data, 0o755), os.Chmod(data, 0o755))
	if err != nil || len(labels) == 0 {
		return err
	}
	text, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(stage, labelsName), append(text, '\n'), 0o600)
}
