package volumedemo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Info is what docker volume inspect shows.
type Info struct {
	CreatedAt  string            `json:"CreatedAt"` // RFC 3339
	Driver     string            `json:"Driver"`
	Labels     map[string]string `json:"Labels"`
	Mountpoint string            `json:"Mountpoint"`
	Name       string            `json:"Name"`
	Options    map[string]string `json:"Options"`
	Scope      string            `json:"Scope"`
}

// Anonymous tells whether nobody gave the volume a name.
func (i Info) Anonymous() bool { _, is := i.Labels[AnonymousLabel]; return is }

// Inspect reads a volume's folder (lstat(2)). ErrNotExist where there is none.
func (s *Store) Inspect(name string) (Info, error) {
	if CheckName(name) != nil || !isFolder(s.Data(name)) {
		return Info{}, fmt.Errorf("get %s: %w", name, ErrNotExist)
	}
	dir := filepath.Join(s.Dir, name)
	made, err := os.Lstat(dir)
	if err != nil {
		return Info{}, err
	}
	labels, err := readLabels(filepath.Join(dir, labelsName))
	if err != nil {
		return Info{}, fmt.Errorf("labels of volume %s: %w", name, err)
	}
	return Info{
		// Nothing is made or removed in this folder after its birth: its time is that.
		CreatedAt: made.ModTime().Format(time.RFC3339),
		Driver:    "local", Labels: labels, Mountpoint: s.Data(name), Name: name, Scope: "local",
	}, nil
}

func readLabels(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var labels map[string]string
	return labels, json.Unmarshal(text, &labels)
}

// List inspects all volumes, by name. One that vanishes meanwhile is left out.
func (s *Store) List() ([]Info, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, name := range names {
		info, err := s.Inspect(name)
		if errors.Is(err, ErrNotExist) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}

// Dangling picks those that no container uses: the orphans. used is told by
// who knows the containers.
func Dangling(all []Info, used func(name string) bool) []Info {
	var left []Info
	for _, i := range all {
		if !used(i.Name) {
			left = append(left, i)
		}
	}
	return left
}

// Size adds up what a volume's files take on disk, in bytes (stat(2), st_blocks).
// What is mounted in it, and a file's further names, are not counted.
func (s *Store) Size(name string) (int64, error) { return treeSize(s.Data(name)) }
