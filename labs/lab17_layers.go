package labs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/image"
)

func imageCacheStep() bench.Step {
	return bench.Step{
		Name: "cache", Reproduces: []string{"img-cacheid"},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"for d in store/image/overlay2/layerdb/sha256/*; do echo; echo $d; for f in diff parent cache-id size; do echo \"$f: $(cat $d/$f 2> /dev/null)\"; done; done",
				"for d in store/image/overlay2/layerdb/sha256/*; do ls store/overlay2/$(cat $d/cache-id)/diff; done",
			),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "what layerdb knows of each layer", Columns: []string{"bottom", "middle", "top"}, Read: readLayerFiles}},
		Expect: []evidence.Expectation{
			layersClaim("a layer's parent is the chain id of the layer below", func(row func(string) []string) bool {
				chain, parent := row("chain id"), row("parent")
				return parent[0] == "none" && parent[1] == chain[0] && parent[2] == chain[1]
			}, "chain id", "parent"),
			layersClaim("the cache id is no digest of the layer: the store drew it", func(row func(string) []string) bool {
				chain, diff, cache := row("chain id"), row("diff"), row("cache-id")
				return cache[2] != evidence.Absent && cache[2] != chain[2] && cache[2] != diff[2]
			}, "chain id", "diff", "cache-id"),
			layersClaim("the folder of the top layer's cache id holds that layer's one file", func(row func(string) []string) bool {
				return row("files in the cache id's folder")[2] == "1"
			}, "files in the cache id's folder"),
			layersClaim("size is the sum of the files in that folder", func(row func(string) []string) bool {
				size, sum := row("size"), row("bytes of these files")
				return size[0] == sum[0] && size[1] == sum[1] && size[2] == sum[2] && sum[2] != evidence.Absent
			}, "size", "bytes of these files"),
		},
	}
}

// layersClaim judges rows with a value for each of the three layers.
func layersClaim(claim string, ok func(row func(string) []string) bool, uses ...string) evidence.Expectation {
	return evidence.Custom(claim, uses, func(o evidence.Observed) evidence.Verdict {
		row := func(name string) []string {
			return []string{o.After.Column(name, 0), o.After.Column(name, 1), o.After.Column(name, 2)}
		}
		var got []string
		for _, name := range uses {
			got = append(got, name+" "+strings.Join(row(name), ", "))
		}
		return evidence.Judged(ok(row), "rows that fit", strings.Join(got, "; "))
	})
}

// readLayerFiles reads the small files of each layer in layerdb, a file for each fact.
func readLayerFiles(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	chain, err := chainOf(storeHere, "web:latest")
	if err != nil {
		return nil, err
	}
	const folder = "store/image/overlay2/layerdb/sha256/CHAIN/"
	rows := []evidence.Fact{
		{Name: "chain id", From: "ls store/image/overlay2/layerdb/sha256"}, {Name: "diff", From: folder + "diff"},
		{Name: "parent", From: folder + "parent"}, {Name: "cache-id", From: folder + "cache-id"}, {Name: "size", From: folder + "size"},
		{Name: "files in the cache id's folder", From: "find store/overlay2/CACHE/diff ! -type d"},
		{Name: "bytes of these files", From: "the same, added up"},
	}
	for _, c := range chain {
		dir := imageDB(storeHere, "layerdb/sha256", c.Encoded())
		cache := layerFile(dir, "cache-id")
		files, bytes := filesBelow(filepath.Join(storeHere, "overlay2", cache, "diff"))
		values := []string{brief(c.String()), brief(layerFile(dir, "diff")), brief(layerFile(dir, "parent")), brief(cache), layerFile(dir, "size"), fmt.Sprint(len(files)), fmt.Sprint(bytes)}
		for i := range rows {
			rows[i].Values = append(rows[i].Values, values[i])
		}
	}
	return rows, nil
}

// layerFile is one of a layer's files. The bottom layer has no parent.
func layerFile(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(text))
}

// filesBelow lists what is no folder. A whiteout is marked as such.
func filesBelow(dir string) (names []string, bytes int64) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil { // a link has the length of its target
			bytes += st.Size
		}
		if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
			name += " (whiteout)"
		}
		names = append(names, name)
		return nil
	})
	return names, bytes
}

func imageShareStep() bench.Step {
	return bench.Step{
		Name: "share", Reproduces: []string{"img-share"},
		Do:     func(_ context.Context, b *bench.Bench) error { return ensure(b, "box") },
		ByHand: bench.ByHand{Lines: bench.Lines("cutaway pull --root store box", "cutaway system df --root store --verbose"), Tools: imageTools},
		Look:   []bench.View{{Title: "images and layers", Read: readSharing}},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is a second image, with two layers", "layers of box", evidence.Equals("2")),
			evidence.Becomes("both are layers of web as well", "of these in web too", evidence.Equals("2")),
			evidence.Keeps("so no layer was added", "layers in layerdb"),
			evidence.Keeps("nor a byte of them", "bytes of all layers"),
			evidence.Custom("on the disk is little more than half of what the images' sizes add up to", []string{"bytes of all layers", "sizes of the images added up", "layers of box"}, func(o evidence.Observed) evidence.Verdict {
				disk, ok := evidence.Number(o.After.Value("bytes of all layers"))
				sum, too := evidence.Number(o.After.Value("sizes of the images added up"))
				box := o.After.Value("layers of box")
				return evidence.Judged(ok && too && box != evidence.Absent && sum > 1.9*disk, "the sum nearly twice as large", fmt.Sprintf("%.0f on the disk, %.0f added up", disk, sum))
			}),
		},
	}
}

func readSharing(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	folders, err := os.ReadDir(imageDB(storeHere, "layerdb/sha256"))
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("layers in layerdb", "ls "+imageDB(storeHere, "layerdb/sha256")+" | wc -l", fmt.Sprint(len(folders)))}
	err = withStore(b, storeHere, func(s *image.Store) error {
		usage, err := s.DiskUsage()
		facts = append(facts,
			evidence.F("bytes of all layers", "cat "+imageDB(storeHere, "layerdb/sha256/*/size"), fmt.Sprint(usage.Layers)),
			evidence.F("sizes of the images added up", "cutaway system df --root store --verbose", fmt.Sprint(usage.Sum)))
		return err
	})
	web, webErr := chainOf(storeHere, "web:latest")
	box, boxErr := chainOf(storeHere, "box:latest")
	if webErr == nil && boxErr == nil {
		facts = append(facts,
			evidence.F("layers of box", "its configuration: rootfs.diff_ids", fmt.Sprint(len(box))),
			evidence.F("of these in web too", "chain ids that both have", fmt.Sprint(inBoth(web, box))))
	}
	return facts, err
}

func inBoth(a, b []digest.Digest) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}

const labContainers = 10

func imageContainersStep() bench.Step {
	return bench.Step{
		Name: "containers", Reproduces: []string{"img-share"},
		Do:     createRoots,
		ByHand: bench.ByHand{None: "a container's layers stand in the store's own books (layerdb/mounts), which the engine writes when it creates a container; a mount of one's own would not be in them"},
		Look:   []bench.View{{Title: "ten containers on one image", Read: readContainerBooks}},
		Expect: []evidence.Expectation{
			evidence.Becomes("ten containers have layers of their own", "containers in layerdb/mounts", evidence.Equals(fmt.Sprint(labContainers))),
			evidence.Becomes("all of them stand on the same chain id", "different parents", evidence.Equals("1")),
			evidence.Keeps("the image is stored once, as before", "layers in layerdb"),
			evidence.Custom("ten containers take less than a tenth of the image", []string{"disk use of store/overlay2, KiB", "containers in layerdb/mounts"}, func(o evidence.Observed) evidence.Verdict {
				before, ok := evidence.Number(o.Before.Value("disk use of store/overlay2, KiB"))
				after, too := evidence.Number(o.After.Value("disk use of store/overlay2, KiB"))
				n := o.After.Value("containers in layerdb/mounts")
				return evidence.Judged(ok && too && n == fmt.Sprint(labContainers) && after-before < before/10, "ten containers, and little more on the disk", fmt.Sprintf("%s containers, %g KiB more", n, after-before))
			}),
		},
	}
}

// createRoots makes the layers of ten containers, c1 to c10, on the image web.
func createRoots(_ context.Context, b *bench.Bench) error {
	return withStore(b, storeHere, func(s *image.Store) error {
		web, err := s.Resolve("web")
		if err != nil {
			return err
		}
		for i := range labContainers {
			if _, err := s.CreateRoot(fmt.Sprintf("c%d", i+1), web, unionfs.CreateOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}

func readContainerBooks(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	folders, _ := filepath.Glob(imageDB(storeHere, "layerdb/mounts/*"))
	parents := map[string]bool{}
	for _, dir := range folders {
		parents[layerFile(dir, "parent")] = true
	}
	layers, _ := filepath.Glob(imageDB(storeHere, "layerdb/sha256/*"))
	disk, err := blocksBelow(storeHere + "/overlay2")
	return []evidence.Fact{
		evidence.F("containers in layerdb/mounts", "ls "+imageDB(storeHere, "layerdb/mounts")+" | wc -l", fmt.Sprint(len(folders))),
		evidence.F("different parents", "cat "+imageDB(storeHere, "layerdb/mounts/*/parent")+" | sort -u", fmt.Sprint(len(parents))),
		evidence.F("layers in layerdb", "ls "+imageDB(storeHere, "layerdb/sha256")+" | wc -l", fmt.Sprint(len(layers))),
		evidence.F("disk use of store/overlay2, KiB", "du -sk store/overlay2", fmt.Sprint(disk>>10)),
	}, err
}
