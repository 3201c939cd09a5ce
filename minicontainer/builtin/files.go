package builtin

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cutaway/assets"
	"cutaway/unionfs/image"
)

// baseTree is the lowest layer: the folders that programs expect, and /etc. All of
// it is root's: so it can also be unpacked by one who is root of a user namespace
// with one user in it.
func baseTree() ([]image.File, error) {
	files := []image.File{
		folder("bin", 0o755), folder("sbin", 0o755), folder("usr/bin", 0o755), folder("usr/sbin", 0o755), folder("usr/local/bin", 0o755),
		folder("dev", 0o755), folder("proc", 0o555), folder("sys", 0o555), folder("run", 0o755), folder("mnt", 0o755), folder("srv", 0o755),
		folder("root", 0o700), folder("tmp", 0o777|fs.ModeSticky), folder("var/log", 0o755), folder("var/tmp", 0o777|fs.ModeSticky),
		{Name: "var/run", Mode: fs.ModeSymlink, Link: "/run"},
	}
	etc, err := embedded("image/base")
	return append(files, etc...), err
}

func folder(name string, mode fs.FileMode) image.File {
	return image.File{Name: name, Mode: fs.ModeDir | mode}
}

// embedded are the files of one folder in package assets. Walking goes in the
// order of names, so the layer is the same each time.
func embedded(root string) ([]image.File, error) {
	var files []image.File
	err := fs.WalkDir(assets.Files, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assets.Files.ReadFile(name)
		mode := fs.FileMode(0o644)
		if path.Base(name) == "shadow" {
			mode = 0o600
		}
		files = append(files, image.File{Name: strings.TrimPrefix(name, root+"/"), Mode: mode, Data: data})
		return err
	})
	return files, err
}

// multiCall is one program with its further names as links: it looks at argv[0]
// to know what it is to be. Links are relative, so that they also lead somewhere
// for one who looks at the layer's folder from outside.
func multiCall(source, name string, links []string) ([]image.File, error) {
	data, err := os.ReadFile(source)
	if err != nil {
		return nil, err
	}
	files := []image.File{{Name: name, Mode: 0o755, Data: data}}
	for _, link := range links {
		to, err := filepath.Rel(path.Dir(link), name)
		if err != nil {
			return nil, err
		}
		if link != name {
			files = append(files, image.File{Name: link, Mode: fs.ModeSymlink, Link: to})
		}
	}
	return files, nil
}

// applets are where this program's own applets belong, without those that other
// programs are already there for.
func applets(names, taken []string) []string {
	have := map[string]bool{}
	for _, t := range taken {
		have[path.Base(t)] = true
	}
	var links []string
	for _, name := range names {
		if !have[name] {
			links = append(links, "bin/"+name)
		}
	}
	return links
}
