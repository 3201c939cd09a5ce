package labs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer/builtin"
	"cutaway/minicontainer/storage"
	"cutaway/unionfs/image"
)

// imagesLab is lab 17: from an image's name down to its files, and all that is
// done with images.
func imagesLab() bench.Lab {
	// Images hold files of several users, which takes root of the machine, as do the
	// marks that overlayfs leaves.
	return bench.Lab{ID: "17", Name: "images", Needs: needs("overlay.works", "dir.xattr.trusted"), Steps: []bench.Step{
		imageNameStep(),
		imageConfigStep(),
		imageChainStep(),
		imageCacheStep(),
		imageHistoryStep(),
		imageShareStep(),
		imageContainersStep(),
		imageDiffStep(),
		imageCommitStep(),
		imageTagStep(),
		imageRemoveStep(),
		imageRegistryStep(),
		imagePullStep(),
		imagePullAgainStep(),
		imageDamageStep(),
		imageDigestStep(),
		imageSaveStep(),
		imagePeerStep(),
	}}
}

// The lab's stores. Each stands for a machine of its own.
const (
	storeHere      = "store"
	storeElsewhere = "elsewhere"
	storeThird     = "third"
)

var (
	sha256sum  = bench.Tool{Program: "sha256sum", Package: "coreutils"}
	imageTools = []bench.Tool{cutawayTool, sha256sum, bench.Cat, bench.Grep, bench.Mount, bench.Umount, bench.Mkdir,
		{Program: "ls", Package: "coreutils"}, {Program: "cut", Package: "coreutils"}, {Program: "cp", Package: "coreutils"}, {Program: "rm", Package: "coreutils"},
		{Program: "touch", Package: "coreutils"}, {Program: "tee", Package: "coreutils"}, {Program: "find", Package: "findutils"}, {Program: "tar", Package: "tar"},
		{Program: "sed", Package: "sed"}, {Program: "gzip", Package: "gzip"}}
)

// exportID is a shell line: the id of the image web, for the lines behind it.
const exportID = "export ID=$(cutaway images --root store --no-trunc --quiet web | cut -d: -f2)"

// withStore opens one of the lab's stores for one act or view.
func withStore(b *bench.Bench, name string, do func(*image.Store) error) error {
	s, err := storage.Open(storage.Options{Root: b.Path(name), Driver: "overlay2"})
	if err != nil {
		return err
	}
	defer s.Driver.Close()
	return do(s)
}

// imageDB is a path in the part of a store that knows images.
func imageDB(store string, elem ...string) string {
	return filepath.Join(append([]string{store, "image/overlay2"}, elem...)...)
}

func configFile(store string, id digest.Digest) string {
	return imageDB(store, "imagedb/content/sha256", id.Encoded())
}

// readImageNames reads repositories.json.
func readImageNames(store string) (image.Repositories, error) {
	text, err := os.ReadFile(imageDB(store, "repositories.json"))
	if err != nil {
		return nil, err
	}
	return image.ParseRepositories(text)
}

// imageIDOf is the image id behind a name such as "web:latest", "" for none.
func imageIDOf(store, name string) digest.Digest {
	names, err := readImageNames(store)
	if err != nil {
		return ""
	}
	repository := name[:strings.LastIndex(name, ":")]
	return names[repository][name]
}

// configOf reads an image's configuration.
func configOf(store, name string) (*image.Image, error) {
	id := imageIDOf(store, name)
	if id == "" {
		return nil, fmt.Errorf("%s: no image %s: %w", imageDB(store, "repositories.json"), name, fs.ErrNotExist)
	}
	text, err := os.ReadFile(configFile(store, id))
	if err != nil {
		return nil, err
	}
	return image.ParseImage(text)
}

// orAbsent is a digest as a value of a fact.
func orAbsent(d digest.Digest) string {
	if d == "" {
		return evidence.Absent
	}
	return d.String()
}

// brief is the beginning of a digest or id, as Docker shows it.
func brief(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}

func imageNameStep() bench.Step {
	return bench.Step{
		Name: "name", Reproduces: []string{"img-repositories"},
		Do: func(_ context.Context, b *bench.Bench) error { return ensure(b, "web") },
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"cutaway pull --root store --storage-driver overlay2 web",
				"cat store/image/overlay2/repositories.json",
				"cutaway images --root store",
			),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "from a name to an id", Read: readRepositories}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the name web:latest leads to an id", "web:latest", evidence.Matches("^sha256:[0-9a-f]{64}$")),
			evidence.Becomes("there is a file whose name is that id", "a file of that name in imagedb", evidence.Equals("there")),
		},
	}
}

// ensure makes a built-in image, from what is on this machine.
func ensure(b *bench.Bench, name string) error {
	return withStore(b, storeHere, func(s *image.Store) error {
		_, err := builtin.Ensure(s, name)
		return err
	})
}

func readRepositories(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	id := imageIDOf(storeHere, "web:latest")
	if id == "" {
		return nil, nil
	}
	file := configFile(storeHere, id)
	return []evidence.Fact{
		evidence.F("web:latest", imageDB(storeHere, "repositories.json"), id.String()),
		evidence.F("a file of that name in imagedb", "ls "+filepath.Dir(file), thereOr(file)),
	}, nil
}

func thereOr(path string) string {
	if _, err := os.Lstat(path); err != nil {
		return evidence.Absent
	}
	return "there"
}

func imageConfigStep() bench.Step {
	return bench.Step{
		Name: "config", Reproduces: []string{"img-imagedb"},
		ByHand: bench.ByHand{
			Lines: bench.Lines(exportID,
				"sha256sum store/image/overlay2/imagedb/content/sha256/$ID",
				"cat store/image/overlay2/imagedb/content/sha256/$ID"),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "the image's configuration", Read: readImageConfig}},
		Expect: []evidence.Expectation{
			evidence.Same("the sha256 of the file is the image's id", "image id", "sha256 of the file"),
			evidence.Is("it lists three layers", "layers", evidence.Equals("3")),
			evidence.Is("it says what a container runs", "command", evidence.Contains("httpd")),
		},
	}
}

func readImageConfig(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	img, err := configOf(storeHere, "web:latest")
	if err != nil {
		return nil, err
	}
	id := imageIDOf(storeHere, "web:latest")
	file := configFile(storeHere, id)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{
		evidence.F("image id", imageDB(storeHere, "repositories.json"), id.String()),
		evidence.F("sha256 of the file", "sha256sum "+file, digest.FromBytes(text).String()),
		evidence.F("layers", "the file: rootfs.diff_ids", fmt.Sprint(len(img.RootFS.DiffIDs))),
	}
	for i, d := range img.RootFS.DiffIDs {
		facts = append(facts, evidence.F(fmt.Sprintf("diff id %d", i+1), "the file: rootfs.diff_ids", d.String()))
	}
	return append(facts, evidence.F("command", "the file: config.Cmd", strings.Join(img.Config.Cmd, " "))), nil
}

func imageChainStep() bench.Step {
	return bench.Step{
		Name: "chain", Reproduces: []string{"img-chainid"},
		ByHand: bench.ByHand{
			Lines: bench.Lines(exportID,
				`set -- $(grep -o '"diff_ids":.*' store/image/overlay2/imagedb/content/sha256/$ID | grep -o 'sha256:[0-9a-f]*')`,
				"export CHAIN1=$1; echo $CHAIN1",
				"export CHAIN2=sha256:$(printf '%s %s' $CHAIN1 $2 | sha256sum | cut -d' ' -f1); echo $CHAIN2",
				"export CHAIN3=sha256:$(printf '%s %s' $CHAIN2 $3 | sha256sum | cut -d' ' -f1); echo $CHAIN3",
				"ls store/image/overlay2/layerdb/sha256"),
			Tools: imageTools,
		},
		Look: []bench.View{
			{Title: "chain ids", Columns: []string{"computed from the diff ids", "folder in layerdb"}, Read: readChain},
			{Title: "the bottom layer", Read: readBottom},
		},
		Expect: []evidence.Expectation{
			evidence.Same("the chain id of the bottom layer is its diff id", "its chain id", "its diff id"),
			evidence.ColumnsSame("layerdb has a folder named after the second layer's chain id", "layer 2", 0, 1),
			evidence.ColumnsSame("and one named after the third's", "layer 3", 0, 1),
		},
	}
}

// chainOf computes the chain ids of an image from its diff ids.
func chainOf(store, name string) ([]digest.Digest, error) {
	img, err := configOf(store, name)
	if err != nil {
		return nil, err
	}
	return image.ChainIDs(img.RootFS.DiffIDs), nil
}

func readChain(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	chain, err := chainOf(storeHere, "web:latest")
	var facts []evidence.Fact
	for i, c := range chain {
		folder := evidence.Absent
		if dir, err := os.Stat(imageDB(storeHere, "layerdb/sha256", c.Encoded())); err == nil {
			folder = dir.Name()
		}
		from := "printf '%s %s' CHAIN_BELOW DIFF_ID | sha256sum"
		if i == 0 {
			from = "rootfs.diff_ids, the first"
		}
		facts = append(facts, evidence.F(fmt.Sprintf("layer %d", i+1), from, c.Encoded(), folder))
	}
	return facts, err
}

// readBottom follows the bottom layer: the folder's name, and the file in it.
func readBottom(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	chain, err := chainOf(storeHere, "web:latest")
	if err != nil {
		return nil, err
	}
	dir := imageDB(storeHere, "layerdb/sha256", chain[0].Encoded())
	diff, err := os.ReadFile(dir + "/diff")
	return []evidence.Fact{
		evidence.F("its chain id", "ls "+filepath.Dir(dir), "sha256:"+filepath.Base(dir)),
		evidence.F("its diff id", "cat "+filepath.Dir(dir)+"/CHAIN/diff", string(diff)),
	}, err
}

func imageHistoryStep() bench.Step {
	return bench.Step{
		Name: "history", Reproduces: []string{"img-history"},
		ByHand: bench.ByHand{Lines: bench.Lines("cutaway history --root store web"), Tools: imageTools},
		Look: []bench.View{
			{Title: "how the image came about, the oldest step first", Columns: []string{"made by", "bytes"}, Read: readHistory},
			{Title: "steps and layers", Read: readHistoryCount},
		},
		Expect: []evidence.Expectation{
			evidence.Same("as many steps made files as there are layers", "steps that made a layer", "layers"),
			evidence.Custom("there are more steps than layers: some only set how to run it", []string{"steps", "layers"}, func(o evidence.Observed) evidence.Verdict {
				steps, ok := evidence.Number(o.After.Value("steps"))
				layers, too := evidence.Number(o.After.Value("layers"))
				return evidence.Judged(ok && too && layers > 0 && steps > layers, "more steps than layers", fmt.Sprintf("%g steps, %g layers", steps, layers))
			}),
		},
	}
}

func readHistory(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = withStore(b, storeHere, func(s *image.Store) error {
		img, err := s.Resolve("web")
		if err != nil {
			return err
		}
		steps, err := s.Steps(img)
		for i := range steps {
			step := steps[len(steps)-1-i] // Docker shows the newest first
			facts = append(facts, evidence.F(fmt.Sprintf("step %d", i+1), "cutaway history --root store web", cutText(step.CreatedBy, 44), fmt.Sprint(step.Size)))
		}
		return err
	})
	return facts, err
}

func cutText(text string, n int) string {
	if text = oneLine(text); len([]rune(text)) > n {
		return string([]rune(text)[:n-3]) + "..."
	}
	return text
}

func readHistoryCount(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	img, err := configOf(storeHere, "web:latest")
	if err != nil {
		return nil, err
	}
	made := 0
	for _, h := range img.History {
		if !h.EmptyLayer {
			made++
		}
	}
	return []evidence.Fact{
		evidence.F("steps", "the configuration: history", fmt.Sprint(len(img.History))),
		evidence.F("steps that made a layer", "the configuration: history without empty_layer", fmt.Sprint(made)),
		evidence.F("layers", "the configuration: rootfs.diff_ids", fmt.Sprint(len(img.RootFS.DiffIDs))),
	}, nil
}
