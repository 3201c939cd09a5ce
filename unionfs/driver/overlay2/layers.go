package overlay2

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cutaway/unionfs"
	"cutaway/unionfs/branch"
	"cutaway/unionfs/layertar"
	"cutaway/unionfs/treediff"
)

// Create makes <id>/{diff,link} and on top of a parent also {work,lower}.
func (d *Driver) Create(id, parent string, opts unionfs.CreateOptions) error {
	if opts.Size > 0 && d.noQuo != nil {
		return d.noQuo
	}
	lower := ""
	if parent != "" {
		if !d.Exists(parent) {
			return fmt.Errorf("create layer %s: parent %s: %w", id, parent, fs.ErrNotExist)
		}
		var err error
		if lower, err = d.lowerOf(parent); err != nil {
			return err
		}
	}
	stage, err := unionfs.NewStage(d.home, id)
	if err != nil {
		return err
	}
	if err := d.fill(stage.Dir, id, lower, opts); err != nil {
		return errors.Join(fmt.Errorf("create layer %s: %w", id, err), d.unlink(stage.Dir), stage.Discard())
	}
	if err := stage.Commit(); err != nil {
		return err
	}
	if parent == "" {
		return nil
	}
	return os.WriteFile(d.path(parent, "committed"), nil, 0o600)
}

// fill makes the folder's content. The short name is written down before its
// link is made, so that whoever sweeps a half-made folder finds the link.
func (d *Driver) fill(dir, id, lower string, opts unionfs.CreateOptions) error {
	if opts.Size > 0 { // before anything is in it: a project id is inherited, not spread
		if err := d.limit.Set(dir, opts.Size); err != nil {
			return err
		}
	}
	if err := mkdir(filepath.Join(dir, "diff"), 0o755); err != nil {
		return err
	}
	short := newShortName()
	if err := os.WriteFile(filepath.Join(dir, "link"), []byte(short), 0o644); err != nil {
		return err
	}
	if err := os.Symlink("../"+id+"/diff", filepath.Join(d.home, "l", short)); err != nil {
		return err
	}
	if lower == "" {
		return nil
	}
	if err := mkdir(filepath.Join(dir, "work"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "lower"), []byte(lower), 0o644)
}

// mkdir makes a folder with exactly this mode, whatever the umask.
func mkdir(dir string, mode fs.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// Remove takes the layer and its short name away.
func (d *Driver) Remove(id string) error {
	if err := unionfs.CheckID(id); err != nil {
		return err
	}
	merged := d.path(id, "merged")
	if err := d.claims.Free(merged); err != nil {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	return unionfs.RemoveDir(d.home, id, d.unlink)
}

// Mount merges the layer's stack at <id>/merged.
func (d *Driver) Mount(id string, opts unionfs.MountOptions) (*unionfs.Mount, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("mount layer %s: %w", id, fs.ErrNotExist)
	}
	lowers, err := d.Lowers(id)
	if err != nil {
		return nil, err
	}
	if len(lowers) == 0 { // a bottom layer: its diff folder is the tree
		return unionfs.PlainMount(d.path(id, "diff")), nil
	}
	merged := d.path(id, "merged")
	spec := d.spec(id, lowers, opts)
	mount := func() error {
		if err := os.Mkdir(merged, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := spec.MountAt(merged); err != nil {
			return errors.Join(err, os.Remove(merged))
		}
		return nil
	}
	unmount := func() error {
		if err := unionfs.Unmount(merged); err != nil {
			return err
		}
		return os.Remove(merged) // rmdir(2): fails rather than deletes if still mounted
	}
	return d.claims.Claim(merged, merged, mount, unmount)
}

func (d *Driver) spec(id string, lowers []string, opts unionfs.MountOptions) Spec {
	s := Spec{Home: d.home, Lowers: lowers, Extra: d.extra, Label: opts.Label}
	if opts.ReadOnly {
		s.Lowers = append([]string{id + "/diff"}, lowers...)
		return s
	}
	s.Upper, s.Work = id+"/diff", id+"/work"
	return s
}

// Apply unpacks into <id>/diff, deletions as overlayfs marks.
func (d *Driver) Apply(id string, tar io.Reader, limits layertar.Limits) (layertar.Result, error) {
	return layertar.Apply(d.path(id, "diff"), tar, layertar.ApplyOptions{
		Form: layertar.Overlay, UserXattr: d.marks.UserXattr, Limits: limits,
	})
}

// Diff writes <id>/diff: for the direct parent that folder is the difference.
// For another ancestor the two trees are compared.
func (d *Driver) Diff(id, parent string, tar io.Writer) error {
	direct, err := d.isParent(id, parent)
	if err != nil {
		return err
	}
	if direct {
		return branch.WriteTar(tar, d.path(id, "diff"), d.marks)
	}
	return treediff.Of(d).Diff(id, parent, tar)
}

// Changes compares <id>/diff with the stack below it.
func (d *Driver) Changes(id, parent string) ([]layertar.Change, error) {
	direct, err := d.isParent(id, parent)
	if err != nil {
		return nil, err
	}
	if !direct {
		return treediff.Of(d).Changes(id, parent)
	}
	lowers, err := d.lowerDirs(id)
	if err != nil {
		return nil, err
	}
	return branch.Changes(d.path(id, "diff"), lowers, d.marks)
}

// DiffSize sums the files in <id>/diff.
func (d *Driver) DiffSize(id, parent string) (int64, error) {
	direct, err := d.isParent(id, parent)
	if err != nil {
		return 0, err
	}
	if direct {
		return branch.Size(d.path(id, "diff"))
	}
	return treediff.Of(d).DiffSize(id, parent)
}

// isParent compares the lower file with what it would be on top of parent.
func (d *Driver) isParent(id, parent string) (bool, error) {
	if !d.Exists(id) {
		return false, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	have, err := os.ReadFile(d.path(id, "lower"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if parent == "" {
		return len(have) == 0, nil
	}
	want, err := d.lowerOf(parent)
	return string(have) == want, err
}
