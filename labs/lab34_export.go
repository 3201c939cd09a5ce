package labs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs/layertar"
)

// layered is a container whose root is an image with a layer of its own on top.
// It changes three files and ends.
var layered = bundle{
	name:   "layered",
	args:   []string{"sh", "-c", "echo hello > /etc/motd; echo guest::1:1:guest:/:/bin/sh >> /etc/passwd; rm /bin/tee"},
	change: func(s *specs.Spec) { s.Root.Path, s.Root.Readonly = "../merged", false },
	filter: `.root={"path":"../merged","readonly":false}`,
}

const mergeLine = "mount -t overlay overlay -o lowerdir=rootfs,upperdir=layer,workdir=work merged"

func runtimeExportStep() bench.Step {
	return bench.Step{
		Name: "export", Reproduces: []string{"part-export"}, Needs: needs("overlay.works"),
		Intend: intendBundles(layered),
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := errors.Join(mergeLayers(b), layered.write(b)); err != nil {
				return err
			}
			if err := layered.runToEnd(ctx, b); err != nil {
				return err
			}
			return exportTree(b.Path("merged"), b.Path("export.tar"))
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append([]string{"mkdir layer work merged", mergeLine}, layered.writeLines(b)...)
				return append(lines, layered.runToEndLine(), "tar -C merged -cf export.tar .")
			},
			Tools: append(bundleTools, bench.Mount, bench.Tool{Program: "tar", Package: "tar"}),
		},
		Look: []bench.View{{Title: "three trees", Columns: []string{"the image", "the container's layer", "export.tar"}, Read: readTrees}},
		Expect: []evidence.Expectation{
			cells("a file of the image that the container left alone is only in the image, and in the export", "bin/busybox", "file", evidence.Absent, "file"),
			cells("a new file is only in the container's layer, and in the export", "etc/motd", evidence.Absent, "file", "file"),
			cells("a changed file is in both layers; the export has it once", "etc/passwd", "file", "file", "file"),
			evidence.Custom("and as the container saw it, with the added line", []string{"size of etc/passwd"}, func(o evidence.Observed) evidence.Verdict {
				a, b, c := o.After.Column("size of etc/passwd", 0), o.After.Column("size of etc/passwd", 1), o.After.Column("size of etc/passwd", 2)
				return evidence.Judged(a != b && b == c && c != evidence.Absent, "the size in the container's layer", a+", "+b+", "+c)
			}),
			cells("a deleted file is still in the image, a whiteout in the layer, and not in the export", "bin/tee", "link", "whiteout", evidence.Absent),
			cells("there is no whiteout in the export: it is one tree and has no layers", "whiteouts", "0", "1", "0"),
		},
	}
}

// mergeLayers mounts an empty layer over the root file system (lab 16).
func mergeLayers(b *bench.Bench) error {
	for _, dir := range []string{"layer", "work", "merged"} {
		if err := os.Mkdir(b.Path(dir), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", b.Path("rootfs"), b.Path("layer"), b.Path("work"))
	if err := unix.Mount("overlay", b.Path("merged"), "overlay", 0, options); err != nil {
		return fmt.Errorf("mount -t overlay -o %s: %w", options, err)
	}
	return nil
}

// exportTree writes all that is in a folder into a tar, folders first.
func exportTree(root, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := layertar.NewWriter(out, root)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		return w.Add(name)
	})
	return errors.Join(err, w.Close())
}

// readTrees looks for a few names in the image, in the layer and in the tar.
func readTrees(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	trees := []map[string]entry{{}, {}, {}}
	err := errors.Join(listFolder(b.Path("rootfs"), trees[0]), listFolder(b.Path("layer"), trees[1]), listTar(b.Path("export.tar"), trees[2]))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, name := range []string{"bin/busybox", "etc/motd", "etc/passwd", "bin/tee"} {
		facts = append(facts, treeFact(name, trees, func(t map[string]entry) string { return t[name].kind }))
	}
	facts = append(facts, treeFact("size of etc/passwd", trees, func(t map[string]entry) string { return fmt.Sprint(t["etc/passwd"].size) }),
		treeFact("whiteouts", trees, func(t map[string]entry) string { return fmt.Sprint(whiteouts(t)) }),
		treeFact("entries in all", trees, func(t map[string]entry) string { return fmt.Sprint(len(t)) }))
	return facts, nil
}

func treeFact(name string, trees []map[string]entry, value func(map[string]entry) string) evidence.Fact {
	f := evidence.F(name, "ls -l rootfs layer, tar -tvf export.tar")
	for _, t := range trees {
		v := value(t)
		if v == "" {
			v = evidence.Absent
		}
		f.Values = append(f.Values, v)
	}
	return f
}

// entry is what one name of a tree is.
type entry struct {
	kind string // "file", "folder", "link", "whiteout"
	size int64
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeCharDevice != 0:
		return "whiteout" // device 0:0; these trees have no other device
	}
	return "file"
}

func whiteouts(t map[string]entry) (n int) {
	for _, e := range t {
		if e.kind == "whiteout" {
			n++
		}
	}
	return n
}

func listFolder(root string, into map[string]entry) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		into[name] = entry{kindOf(info.Mode()), info.Size()}
		return err
	})
}

func listTar(file string, into map[string]entry) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if name := filepath.Clean(h.Name); name != "." {
			into[name] = entry{kindOf(h.FileInfo().Mode()), h.Size}
		}
	}
}

// cells claims what stands in the columns of one row.
func cells(claim, row string, want ...string) evidence.Expectation {
	return evidence.Custom(claim, []string{row}, func(o evidence.Observed) evidence.Verdict {
		ok := true
		var got []string
		for i, w := range want {
			v := o.After.Column(row, i)
			ok = ok && v == w
			got = append(got, v)
		}
		return evidence.Judged(ok, fmt.Sprint(want), fmt.Sprint(got))
	})
}
