package aufs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cutaway/unionfs"
	"cutaway/unionfs/branch"
	"cutaway/unionfs/layertar"
	"cutaway/unionfs/treediff"
)

// Driver is a store of AUFS layers.
type Driver struct {
	home    string
	mounter Mounter
	claims  unionfs.Claims
}

// Open makes the folders if need be and takes away what dead processes left
// half made there.
func Open(home string, mounter Mounter) (*Driver, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, err
	}
	d := &Driver{home: home, mounter: mounter}
	for _, sub := range []string{"diff", "layers", "mnt"} {
		if err := os.MkdirAll(d.dir(sub), 0o710); err != nil {
			return nil, err
		}
	}
	if _, err := unionfs.Sweep(d.dir("diff"), nil); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Driver) dir(sub string) string      { return filepath.Join(d.home, sub) }
func (d *Driver) diff(id string) string      { return filepath.Join(d.home, "diff", id) }
func (d *Driver) layerFile(id string) string { return filepath.Join(d.home, "layers", id) }
func (d *Driver) mnt(id string) string       { return filepath.Join(d.home, "mnt", id) }

// Name is "aufs".
func (d *Driver) Name() string { return "aufs" }

// Home is the folder given to Open.
func (d *Driver) Home() string { return d.home }

// Close has nothing to give back.
func (d *Driver) Close() error { return nil }

// Exists says whether the layer's diff folder is there under its final name,
// which is made last and taken away first.
func (d *Driver) Exists(id string) bool {
	fi, err := os.Lstat(d.diff(id))
	return unionfs.CheckID(id) == nil && err == nil && fi.IsDir()
}

// List names the layers.
func (d *Driver) List() ([]string, error) { return unionfs.ListDir(d.dir("diff")) }

// Create writes layers/<id>, makes mnt/<id> and then diff/<id>.
func (d *Driver) Create(id, parent string, opts unionfs.CreateOptions) error {
	if opts.Size > 0 {
		return &unionfs.Unsupported{
			What: "a size limit", Reason: "Docker's aufs driver has none",
			Remedy: "use overlay2 on XFS or ext4 with project quota",
		}
	}
	var below []string
	if parent != "" {
		if !d.Exists(parent) {
			return fmt.Errorf("create layer %s: parent %s: %w", id, parent, fs.ErrNotExist)
		}
		grand, err := d.parents(parent)
		if err != nil {
			return err
		}
		below = append([]string{parent}, grand...)
	}
	stage, err := unionfs.NewStage(d.dir("diff"), id)
	if err != nil {
		return err
	}
	if err := d.fill(stage.Dir, id, below); err != nil {
		return errors.Join(fmt.Errorf("create layer %s: %w", id, err), stage.Discard())
	}
	return stage.Commit()
}

func (d *Driver) fill(dir, id string, below []string) error {
	if err := os.Chmod(dir, 0o755); err != nil { // it becomes a container's "/"
		return err
	}
	var b bytes.Buffer
	for _, p := range below {
		fmt.Fprintln(&b, p)
	}
	if err := os.WriteFile(d.layerFile(id), b.Bytes(), 0o644); err != nil {
		return err
	}
	err := os.Mkdir(d.mnt(id), 0o755)
	if errors.Is(err, fs.ErrExist) { // of a layer that was removed halfway
		return nil
	}
	return err
}

// parents reads layers/<id>: the ids below, nearest first.
func (d *Driver) parents(id string) ([]string, error) {
	f, err := os.Open(d.layerFile(id))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseLayers(f)
}

// parseLayers reads a layers file: an id on each line.
func parseLayers(r io.Reader) ([]string, error) {
	var ids []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		id := strings.TrimSpace(lines.Text())
		if id == "" {
			continue
		}
		if err := unionfs.CheckID(id); err != nil {
			return nil, fmt.Errorf("layers file: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, lines.Err()
}

// branches are the folders of a mount, topmost first.
func (d *Driver) branches(id string) ([]string, error) {
	below, err := d.parents(id)
	if err != nil {
		return nil, err
	}
	dirs := []string{d.diff(id)}
	for _, p := range below {
		dirs = append(dirs, d.diff(p))
	}
	return dirs, nil
}

// Remove takes diff/<id> away first: without it the layer is not there.
func (d *Driver) Remove(id string) error {
	if err := unionfs.CheckID(id); err != nil {
		return err
	}
	if err := d.claims.Free(d.mnt(id)); err != nil {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	if err := unionfs.RemoveDir(d.dir("diff"), id, nil); err != nil {
		return err
	}
	for _, rest := range []string{d.layerFile(id), d.mnt(id)} {
		if err := os.Remove(rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Mount merges the branches at mnt/<id>.
func (d *Driver) Mount(id string, opts unionfs.MountOptions) (*unionfs.Mount, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("mount layer %s: %w", id, fs.ErrNotExist)
	}
	dirs, err := d.branches(id)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 1 { // a bottom layer: its folder is the tree
		return unionfs.PlainMount(dirs[0]), nil
	}
	options, err := Options(dirs, opts.ReadOnly)
	if err != nil {
		return nil, err
	}
	target := d.mnt(id)
	return d.claims.Claim(target, target,
		func() error { return d.mounter.Mount(target, options) },
		func() error { return d.mounter.Unmount(target) })
}

// Apply unpacks into diff/<id>, marks of deletions as they come.
func (d *Driver) Apply(id string, tar io.Reader, limits layertar.Limits) (layertar.Result, error) {
	return layertar.Apply(d.diff(id), tar, layertar.ApplyOptions{Form: layertar.AUFS, Limits: limits})
}

// Diff writes diff/<id>: for the direct parent that folder is the difference.
// For another ancestor the two trees are compared.
func (d *Driver) Diff(id, parent string, tar io.Writer) error {
	direct, err := d.isParent(id, parent)
	if err != nil {
		return err
	}
	if direct {
		return branch.WriteTar(tar, d.diff(id), branch.AUFS{})
	}
	return treediff.Of(d).Diff(id, parent, tar)
}

// Changes compares diff/<id> with the folders below it.
func (d *Driver) Changes(id, parent string) ([]layertar.Change, error) {
	direct, err := d.isParent(id, parent)
	if err != nil {
		return nil, err
	}
	if !direct {
		return treediff.Of(d).Changes(id, parent)
	}
	dirs, err := d.branches(id)
	if err != nil {
		return nil, err
	}
	return branch.Changes(dirs[0], dirs[1:], branch.AUFS{})
}

// DiffSize sums the files in diff/<id>.
func (d *Driver) DiffSize(id, parent string) (int64, error) {
	direct, err := d.isParent(id, parent)
	if err != nil {
		return 0, err
	}
	if direct {
		return branch.Size(d.diff(id))
	}
	return treediff.Of(d).DiffSize(id, parent)
}

func (d *Driver) isParent(id, parent string) (bool, error) {
	if !d.Exists(id) {
		return false, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	below, err := d.parents(id)
	if err != nil {
		return false, err
	}
	if len(below) == 0 {
		return parent == "", nil
	}
	return below[0] == parent, nil
}

// Metadata is empty, as Docker's is for aufs.
func (d *Driver) Metadata(id string) (map[string]string, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	return map[string]string{}, nil
}

// Status counts the branches, as `docker info` does.
func (d *Driver) Status() []unionfs.Fact {
	ids, _ := d.List()
	return []unionfs.Fact{
		{Name: "Root Dir", Value: d.home},
		{Name: "Backing Filesystem", Value: unionfs.FileSystemName(d.home)},
		{Name: "Dirs", Value: fmt.Sprint(len(ids))},
	}
}
