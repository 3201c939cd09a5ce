package layertar

import (
	"fmt"
	"path"
	"strings"
)

// The reserved names of the AUFS form.
const (
	WhiteoutPrefix = ".wh."         // .wh.NAME hides NAME of the layers below
	OpaqueMarker   = ".wh..wh..opq" // hides all that the layers below have here
	metaPrefix     = ".wh..wh."     // AUFS's own files in a branch root
)

// CleanName turns a tar entry's name into a path relative to the layer's root,
// "." for the root itself. It refuses absolute names and names with a ".."
// component: no honest builder writes them, so refusing tells more than a
// silent repair would.
func CleanName(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("entry %q: name holds a NUL byte", name)
	}
	rel := strings.TrimRight(name, "/")
	if rel == "" && name != "" {
		return ".", nil // "/" stands for the root in some builders' layers
	}
	if strings.HasPrefix(rel, "/") {
		return "", fmt.Errorf("entry %q: absolute name in a layer", name)
	}
	for _, part := range strings.Split(rel, "/") {
		if part == ".." {
			return "", fmt.Errorf("entry %q: name climbs out with \"..\"", name)
		}
		if len(part) > 255 {
			return "", fmt.Errorf("entry %.40q...: component of %d bytes, the kernel takes 255", name, len(part))
		}
	}
	return path.Clean(rel), nil
}

// split returns the folder and the last component of a clean name.
func split(name string) (dir, base string) {
	dir, base = path.Split(name)
	if dir == "" {
		return ".", base
	}
	return dir[:len(dir)-1], base
}
