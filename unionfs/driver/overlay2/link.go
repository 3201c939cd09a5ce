package overlay2

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxDepth is how many layers may lie below one, as in Docker. 128 short names
// are what fits into the one page that mount(2) takes as options.
const MaxDepth = 128

// Why short names: mount(2) copies one page (4096 bytes) of options, NUL
// included. A full lower path takes about 100 bytes, so some 40 layers would
// fill the page. l/ and 26 characters take 29 with the colon: 128 of them make
// 3712 bytes and leave room for upperdir and workdir.
const shortLen = 26

// newShortName returns 26 characters of base32, 130 bits of randomness.
func newShortName() string {
	var b [17]byte
	rand.Read(b[:])
	return base32.StdEncoding.EncodeToString(b[:])[:shortLen]
}

// lowerOf returns the content of the lower file for a layer that stands on
// parent: the parent's short name, then what the parent stands on.
func (d *Driver) lowerOf(parent string) (string, error) {
	link, err := os.ReadFile(d.path(parent, "link"))
	if err != nil {
		return "", fmt.Errorf("short name of layer %s: %w", parent, err)
	}
	lower := "l/" + string(link)
	below, err := os.ReadFile(d.path(parent, "lower"))
	if err == nil {
		lower += ":" + string(below)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("layers below %s: %w", parent, err)
	}
	if n := strings.Count(lower, ":") + 1; n > MaxDepth {
		return "", fmt.Errorf("layer on top of %s: %d layers below, overlay2 takes %d", parent, n, MaxDepth)
	}
	return lower, nil
}

// Lowers returns the short paths of the layers below id, nearest first, such as
// "l/QV3Z...". None for a bottom layer.
func (d *Driver) Lowers(id string) ([]string, error) {
	b, err := os.ReadFile(d.path(id, "lower"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("layers below %s: %w", id, err)
	}
	return strings.Split(string(b), ":"), nil
}

// lowerDirs follows the short names to the diff folders' full paths.
func (d *Driver) lowerDirs(id string) ([]string, error) {
	lowers, err := d.Lowers(id)
	if err != nil {
		return nil, err
	}
	dirs := make([]string, len(lowers))
	for i, l := range lowers {
		target, err := os.Readlink(filepath.Join(d.home, l))
		if err != nil {
			return nil, fmt.Errorf("layer %s stands on a layer that is gone: %w", id, err)
		}
		dirs[i] = filepath.Join(d.home, "l", target)
	}
	return dirs, nil
}

// unlink takes a layer folder's short name away. The folder may be half made,
// so every part may be missing.
func (d *Driver) unlink(dir string) error {
	link, err := os.ReadFile(filepath.Join(dir, "link"))
	if errors.Is(err, fs.ErrNotExist) || len(link) != shortLen {
		return nil
	}
	if err != nil {
		return err
	}
	err = os.Remove(filepath.Join(d.home, "l", string(link)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
