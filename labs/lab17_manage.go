package labs

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs/image"
)

// What `rmi` said, and what it refused.
const (
	removedLog = "removed.log"
	refusedLog = "refused.log"
	archive    = "web.tar"
	archiveGz  = archive + ".gz"
)

func imageTagStep() bench.Step {
	return bench.Step{
		Name: "tag", Reproduces: []string{"img-ls-df-rm"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return withStore(b, storeHere, func(s *image.Store) error { return tag(s, "shop:2", imageIDOf(storeHere, "web:latest")) })
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"cutaway tag --root store web shop:2",
				"cutaway images --root store",
				"cutaway images --root store --filter reference=shop --format '{{.Repository}} has {{.Tag}}'",
				"cutaway system df --root store"),
			Tools: imageTools,
		},
		Look: []bench.View{
			{Title: "names and ids", Read: readAllNames},
			{Title: "the list, filtered by reference=shop", Read: readFiltered},
			{Title: "disk use of all images", Read: readDf},
		},
		Expect: []evidence.Expectation{
			evidence.Same("two names lead to one id", "web:latest", "shop:2"),
			evidence.Becomes("a filter finds the new name alone", "rows", evidence.Equals("shop has 2")),
			evidence.Keeps("a name takes no space", "bytes of all layers"),
			evidence.AlwaysIs("one image is in use: the one that the containers stand on", "images in use", evidence.Equals("1")),
		},
	}
}

func readAllNames(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, name := range []string{"web:latest", "shop:2", "box:latest", "copy:latest"} {
		value := evidence.Absent
		if id := imageIDOf(storeHere, name); id != "" {
			value = brief(id.String())
		}
		facts = append(facts, evidence.F(name, imageDB(storeHere, "repositories.json"), value))
	}
	return facts, nil
}

func readFiltered(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	rows := "none"
	err := withStore(b, storeHere, func(s *image.Store) error {
		filter, err := image.ParseFilter("reference=shop")
		if err != nil {
			return err
		}
		list, err := s.List(filter)
		for _, r := range list {
			rows = r.Repository + " has " + r.Tag
		}
		return err
	})
	return []evidence.Fact{evidence.F("rows", "cutaway images --root store --filter reference=shop", rows)}, err
}

func readDf(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = withStore(b, storeHere, func(s *image.Store) error {
		u, err := s.DiskUsage()
		const df = "cutaway system df --root store"
		facts = []evidence.Fact{
			evidence.F("images", df, fmt.Sprint(u.Images)),
			evidence.F("images in use", df, fmt.Sprint(u.ActiveImage)),
			evidence.F("bytes of all layers", df, fmt.Sprint(u.Layers)),
			evidence.F("bytes that removing unused images would free", df, fmt.Sprint(u.Reclaimable)),
		}
		return err
	})
	return facts, err
}

func imageRemoveStep() bench.Step {
	return bench.Step{
		Name: "remove", Reproduces: []string{"img-ls-df-rm"},
		Do: removeImages,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"cutaway rmi --root store shop:2 > "+removedLog,
				"! cutaway rmi --root store web 2> "+refusedLog,
				"cat "+refusedLog,
				"cutaway rmi --root store copy >> "+removedLog,
				"cat "+removedLog),
			Tools: imageTools,
		},
		Look: []bench.View{
			{Title: "names and ids", Read: readAllNames},
			{Title: "what removing them said", Read: readRemoved},
			{Title: "layers", Read: readLayerCount},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("one name of two: only the name goes", "rmi shop:2", evidence.Equals("Untagged")),
			evidence.Becomes("an image in use is refused", "rmi web", evidence.Contains("conflict")),
			evidence.Keeps("and keeps its name", "web:latest"),
			evidence.Becomes("the last name of an unused image: name, image and its own layer go", "rmi copy", evidence.Equals("Untagged, Deleted, Deleted")),
			evidence.Becomes("the layers that others have stay", "layers in layerdb", evidence.Equals("3")),
		},
	}
}

// removeImages removes a second name, an image in use, and an unused image.
func removeImages(_ context.Context, b *bench.Bench) error {
	notes, err := os.Create(removedLog)
	if err != nil {
		return err
	}
	defer notes.Close()
	return withStore(b, storeHere, func(s *image.Store) error {
		remove := func(name string) error {
			gone, err := s.Remove(name, false, usersOf(s))
			for _, r := range gone {
				fmt.Fprintln(notes, r)
			}
			return err
		}
		err := remove("shop:2")
		refused := remove("web")
		if !errors.Is(refused, image.ErrConflict) {
			return errors.Join(err, fmt.Errorf("rmi web: %v; want a conflict", refused))
		}
		return errors.Join(err, os.WriteFile(refusedLog, []byte(refused.Error()+"\n"), 0o644),
			remove("copy"))
	})
}

// usersOf tells which containers stand on an image: who has its topmost chain id
// as parent.
func usersOf(s *image.Store) func(digest.Digest) ([]image.Use, error) {
	return func(id digest.Digest) (uses []image.Use, err error) {
		img, err := s.Get(id)
		if err != nil {
			return nil, err
		}
		roots, err := s.Roots()
		for _, r := range roots {
			if r.Parent == img.ChainID() {
				uses = append(uses, image.Use{Container: r.Container})
			}
		}
		return uses, err
	}
}

// readRemoved tells for each name what was said, in order, by the first words.
func readRemoved(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	text, err := os.ReadFile(removedLog)
	if err != nil {
		return nil, err
	}
	said, name := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		what, which, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if what == "Untagged" {
			name, _, _ = strings.Cut(which, ":latest")
		}
		said[name] = append(said[name], what)
	}
	refused, err := os.ReadFile(refusedLog)
	return []evidence.Fact{
		evidence.F("rmi shop:2", "cat "+removedLog, strings.Join(said["shop:2"], ", ")),
		evidence.F("rmi web", "cat "+refusedLog, cutText(string(refused), 90)),
		evidence.F("rmi copy", "cat "+removedLog, strings.Join(said["copy"], ", ")),
	}, err
}

func readLayerCount(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	layers, err := os.ReadDir(imageDB(storeHere, "layerdb/sha256"))
	return []evidence.Fact{evidence.F("layers in layerdb", "ls "+imageDB(storeHere, "layerdb/sha256")+" | wc -l", fmt.Sprint(len(layers)))}, err
}

const storeLoaded = "loaded"

func imageSaveStep() bench.Step {
	return bench.Step{
		Name: "save", Reproduces: []string{"img-save-load"},
		Do: saveAndLoad,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"cutaway save --root store --output "+archive+" web",
				"tar -tf "+archive,
				"gzip -1 --keep "+archive,
				"cutaway load --root loaded --storage-driver overlay2 --input "+archiveGz,
				"cutaway images --root loaded --no-trunc"),
			Tools: imageTools,
		},
		Look: []bench.View{
			{Title: "the archive", Read: readArchive},
			{Title: "the image after loading it elsewhere", Columns: []string{storeHere, storeLoaded}, Read: readLoaded},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the archive has the configuration under the image's id", "configuration", evidence.Equals("named after the image id")),
			evidence.Becomes("and a tar for each layer", "layers in manifest.json", evidence.Equals("3")),
			evidence.ColumnsSame("after loading, the id is the same", "image id", 0, 1),
			evidence.ColumnsSame("and so is the topmost chain id", "top layer's chain id", 0, 1),
		},
	}
}

// saveAndLoad writes Docker's archive format, packs it, and takes it in elsewhere.
func saveAndLoad(_ context.Context, b *bench.Bench) error {
	err := withStore(b, storeHere, func(s *image.Store) error {
		wanted, err := s.Select([]string{"web"})
		if err != nil {
			return err
		}
		out, err := os.Create(archive)
		if err != nil {
			return err
		}
		return errors.Join(s.Save(out, wanted), out.Close())
	})
	if err != nil {
		return err
	}
	if err := packFile(archive, archiveGz); err != nil {
		return err
	}
	return loadInto(b, storeLoaded, archiveGz)
}

// packFile is gzip(1): fast, for the lab's sake.
func packFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, err = io.Copy(packed, in)
	return errors.Join(err, packed.Close(), out.Close())
}

func loadInto(b *bench.Bench, store, file string) error {
	return withStore(b, store, func(s *image.Store) error {
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = s.Load(in)
		return err
	})
}

// readArchive lists the archive's members and reads its manifest.json.
func readArchive(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	members := tar.NewReader(file)
	for {
		h, err := members.Next()
		if err != nil {
			return nil, err
		}
		if h.Name != "manifest.json" {
			continue
		}
		text, err := io.ReadAll(members)
		if err != nil {
			return nil, err
		}
		return manifestFacts(text)
	}
}

func manifestFacts(text []byte) ([]evidence.Fact, error) {
	manifests, err := image.ParseManifest(text)
	if err != nil || len(manifests) == 0 {
		return nil, err
	}
	m, from := manifests[0], "tar -xOf "+archive+" manifest.json"
	config := "named otherwise: " + m.Config
	if strings.Contains(m.Config, imageIDOf(storeHere, "web:latest").Encoded()) {
		config = "named after the image id"
	}
	return []evidence.Fact{
		evidence.F("names in manifest.json", from, strings.Join(m.RepoTags, " ")),
		evidence.F("configuration", from, config),
		evidence.F("layers in manifest.json", from, fmt.Sprint(len(m.Layers))),
	}, nil
}

func readLoaded(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return besideStores(storeLoaded, "web:latest")
}

// besideStores compares an image with the one that it was made from.
func besideStores(other, name string) ([]evidence.Fact, error) {
	ids, tops := []string{}, []string{}
	for i, store := range []string{storeHere, other} {
		wanted := []string{"web:latest", name}[i]
		top := evidence.Absent
		if chain, err := chainOf(store, wanted); err == nil {
			top = brief(chain[len(chain)-1].String())
		}
		ids, tops = append(ids, brief(orAbsent(imageIDOf(store, wanted)))), append(tops, top)
	}
	return []evidence.Fact{
		evidence.F("image id", "cat STORE/image/overlay2/repositories.json", ids...),
		evidence.F("top layer's chain id", "computed from rootfs.diff_ids", tops...),
	}, nil
}

var skopeo = bench.Tool{Program: "skopeo", Package: "skopeo"}

const (
	storeBack   = "back"
	peerArchive = "back.tar"
)

func imagePeerStep() bench.Step {
	return bench.Step{
		Name: "peer", Reproduces: []string{"img-save-load"}, Extra: true,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := runTool(ctx, skopeo, peerArgs...); err != nil {
				return err
			}
			return loadInto(b, storeBack, peerArchive)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("skopeo "+strings.Join(peerArgs, " "), "cutaway load --root back --storage-driver overlay2 --input "+peerArchive),
			Tools: []bench.Tool{skopeo, cutawayTool},
		},
		Look: []bench.View{{Title: "the image after its way through skopeo", Columns: []string{storeHere, storeBack}, Read: readBack}},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("skopeo read our archive and we read its own: the id is the same", "image id", 0, 1),
			evidence.ColumnsSame("and the topmost chain id", "top layer's chain id", 0, 1),
		},
	}
}

// peerArgs have skopeo read Docker's archive format and write it anew.
var peerArgs = []string{"--insecure-policy", "copy", "--quiet", "docker-archive:" + archive, "docker-archive:" + peerArchive + ":web:back"}

func readBack(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	if _, err := os.Stat(filepath.Clean(peerArchive)); err != nil {
		return nil, err
	}
	return besideStores(storeBack, "web:back")
}
