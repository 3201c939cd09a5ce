package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	fake "github.com/google/go-containerregistry/pkg/registry"

	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/labs/bench"
	"cutaway/unionfs/image"
	"cutaway/unionfs/image/registry"
)

// The lab's registry is a process on the lab host's own loopback: nobody else can
// reach it, and it reaches nobody. It notes what it is asked for in a file, and as
// long as a file named "damage" is there, it sends blobs with one bit changed.

const (
	registryAddress = "localhost:5000"
	registryLog     = "registry.log"
	damageFile      = "damage"
	pullLog         = "pull.log"
)

func init() { inside.Register("labs.registry", serveRegistry) }

// serveRegistry runs in a process of its own, and answers until that ends.
func serveRegistry(_ context.Context, packed json.RawMessage) (any, error) {
	var dir string
	if err := json.Unmarshal(packed, &dir); err != nil {
		return nil, err
	}
	notes, err := os.OpenFile(dir+"/"+registryLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", registryAddress)
	if err != nil {
		return nil, err
	}
	go http.Serve(l, &notedRegistry{inner: fake.New(fake.Logger(log.New(io.Discard, "", 0))), notes: notes, damage: dir + "/" + damageFile})
	return nil, nil
}

// notedRegistry is a registry that writes down what it is asked for.
type notedRegistry struct {
	inner  http.Handler
	notes  io.Writer
	damage string
}

func (n *notedRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(n.notes, r.Method, r.URL.Path)
	if _, err := os.Stat(n.damage); err == nil && isBlobFetch(r.Method, r.URL.Path) {
		w = &damaged{ResponseWriter: w}
	}
	n.inner.ServeHTTP(w, r)
}

func isBlobFetch(method, path string) bool {
	return method == http.MethodGet && strings.Contains(path, "/blobs/sha256:")
}

// damaged changes the first bit of what is sent.
type damaged struct {
	http.ResponseWriter
	begun bool
}

func (d *damaged) Write(data []byte) (int, error) {
	if !d.begun && len(data) > 0 {
		d.begun = true
		data = append([]byte{data[0] ^ 1}, data[1:]...)
	}
	return d.ResponseWriter.Write(data)
}

func imageRegistryStep() bench.Step {
	return bench.Step{
		Name: "registry", Reproduces: []string{"img-pull"},
		Do:     startRegistry,
		ByHand: bench.ByHand{None: "a registry is a server with a store of its own; the lab brings a small one. Debian's package docker-registry has a full one, which `cutaway tag` and `cutaway push` would fill"},
		Look:   []bench.View{{Title: "the registry", Read: readRegistry}},
		Expect: []evidence.Expectation{
			evidence.Becomes("it has two tags of one name", "tags of web", evidence.Equals("1 2")),
			evidence.Becomes("it was sent six blobs for seven layers and two configurations", "blobs that it was sent", evidence.Equals("6")),
		},
	}
}

// startRegistry starts it, and pushes web as web:1, and web with a layer more as web:2.
func startRegistry(ctx context.Context, b *bench.Bench) error {
	h, err := inside.Start(ctx, inside.Config{})
	if err != nil {
		return err
	}
	if err := b.Keep("registry", h); err != nil {
		return err
	}
	if err := h.Call(ctx, "labs.registry", b.Dir, nil); err != nil {
		return err
	}
	return withStore(b, storeHere, func(s *image.Store) error {
		web, err := s.Resolve("web")
		if err != nil {
			return err
		}
		changed, err := s.Commit(changedContainer, web, image.CommitOptions{})
		if err != nil {
			return err
		}
		return errors.Join(push(ctx, s, web, registryAddress+"/web:1"), push(ctx, s, changed, registryAddress+"/web:2"))
	})
}

func push(ctx context.Context, s *image.Store, img *image.Image, as string) error {
	ref, err := image.ParseReference(as)
	if err != nil {
		return err
	}
	_, err = registry.Push(ctx, s, img, ref, registry.Options{})
	return err
}

func readRegistry(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if _, err := b.Pid("registry"); err != nil {
		return nil, err
	}
	url := "http://" + registryAddress + "/v2/web/tags/list"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var list struct{ Tags []string }
	err = json.NewDecoder(answer.Body).Decode(&list)
	return []evidence.Fact{
		evidence.F("tags of web", "curl -s "+url, strings.Join(list.Tags, " ")),
		evidence.F("blobs that it was sent", "grep -c 'PUT .*/blobs/uploads/' "+registryLog, fmt.Sprint(countNotes(func(method, path string) bool {
			return method == http.MethodPut && strings.Contains(path, "/blobs/uploads/")
		}))),
	}, err
}

// countNotes counts the requests that the registry has noted.
func countNotes(counts func(method, path string) bool) (n int) {
	text, _ := os.ReadFile(registryLog)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && counts(words[0], words[1]) {
			n++
		}
	}
	return n
}

// pullInto pulls an image into one of the stores and writes down how it went, in
// the words of `docker pull`.
func pullInto(ctx context.Context, b *bench.Bench, store, name string) error {
	ref, err := image.ParseReference(name)
	if err != nil {
		return err
	}
	notes, err := os.Create(pullLog)
	if err != nil {
		return err
	}
	defer notes.Close()
	last := ""
	return withStore(b, store, func(s *image.Store) error {
		_, err := registry.Pull(ctx, s, ref, registry.Options{Report: func(p registry.Progress) {
			line := brief(p.Layer.String()) + ": " + string(p.State)
			if line != last { // a report comes with every piece that arrives
				fmt.Fprintln(notes, line)
			}
			last = line
		}})
		if err != nil {
			fmt.Fprintln(notes, err)
		}
		return err
	})
}

// pullLine does the same by hand.
func pullLine(store, name string) string {
	return "cutaway pull --root " + store + " --storage-driver overlay2 " + name + " > " + pullLog + " 2>&1"
}

func imagePullStep() bench.Step {
	return bench.Step{
		Name: "pull", Reproduces: []string{"img-pull"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return pullInto(ctx, b, storeElsewhere, registryAddress+"/web:1")
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(pullLine(storeElsewhere, registryAddress+"/web:1"), "cat "+pullLog),
			Tools: imageTools,
		},
		Look: []bench.View{
			{Title: "the image here and there", Columns: []string{storeHere, storeElsewhere}, Read: readHereAndThere},
			{Title: "what was fetched", Read: readFetched},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("the other store has the image under the same id", "image id", 0, 1),
			evidence.ColumnsSame("its top layer has the same chain id", "top layer's chain id", 0, 1),
			evidence.ColumnsDiffer("but another cache id: that is each store's own affair", "its cache id", 0, 1),
			evidence.Becomes("four blobs were fetched: the configuration and three layers", "blobs fetched from the registry", evidence.Equals("4")),
			evidence.Becomes("each layer came and was unpacked", "layers: Pull complete", evidence.Equals("3")),
		},
	}
}

func readHereAndThere(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	pulled := registryAddress + "/web:1"
	facts, err := besideStores(storeElsewhere, pulled)
	return append(facts, evidence.F("its cache id", "cat STORE/image/overlay2/layerdb/sha256/CHAIN/cache-id",
		topCache(storeHere, "web:latest"), topCache(storeElsewhere, pulled))), err
}

// topCache is the cache id of an image's topmost layer.
func topCache(store, name string) string {
	chain, err := chainOf(store, name)
	if err != nil {
		return evidence.Absent
	}
	return brief(layerFile(imageDB(store, "layerdb/sha256", chain[len(chain)-1].Encoded()), "cache-id"))
}

// readFetched counts what the registry sent, and what the pull told of each layer.
func readFetched(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	if _, err := os.Stat(registryLog); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(pullLog)
	facts := []evidence.Fact{evidence.F("blobs fetched from the registry", "grep -c 'GET .*/blobs/' "+registryLog, fmt.Sprint(countNotes(isBlobFetch)))}
	if err != nil {
		return facts, nil // nobody has pulled yet
	}
	for _, state := range []registry.State{registry.PullDone, registry.Exists} {
		facts = append(facts, evidence.F("layers: "+string(state), "grep -c ': "+string(state)+"' "+pullLog, fmt.Sprint(strings.Count(string(text), ": "+string(state)))))
	}
	return facts, nil
}

func imagePullAgainStep() bench.Step {
	return bench.Step{
		Name: "pull-more", Reproduces: []string{"img-pull"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return pullInto(ctx, b, storeElsewhere, registryAddress+"/web:2")
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(pullLine(storeElsewhere, registryAddress+"/web:2"), "cat "+pullLog),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "what was fetched", Read: readFetched}},
		Expect: []evidence.Expectation{
			evidence.Becomes("only two more blobs were fetched: a configuration and one layer", "blobs fetched from the registry", evidence.Equals("6")),
			evidence.Becomes("three layers were here already", "layers: Already exists", evidence.Equals("3")),
			evidence.Becomes("one came", "layers: Pull complete", evidence.Equals("1")),
		},
	}
}

func imageDamageStep() bench.Step {
	return bench.Step{
		Name: "damage", Reproduces: []string{"img-pull"},
		Do: pullDamaged,
		ByHand: bench.ByHand{
			Lines: bench.Lines(exportDigest,
				"touch "+damageFile,
				"! "+pullLine(storeThird, registryAddress+"/web@$DIGEST"),
				"cat "+pullLog+"; rm "+damageFile),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "what a third store has", Read: readThird}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the pull was refused for a digest that does not fit", "end of the pull", evidence.Contains("error verifying sha256 checksum")),
			evidence.Is("no layer stayed behind", "layers", evidence.Equals("0")),
			evidence.Is("nor a name", "names", evidence.Equals("none")),
		},
	}
}

// exportDigest is a shell line: the digest that the registry knows web:1 by.
const exportDigest = "export DIGEST=$(cutaway images --root elsewhere --digests --format '{{.Tag}} {{.Digest}}' | grep '^1 ' | cut -d' ' -f2)"

// digestOf is the same from repositories.json, where such a name has an @.
func digestOf(store, repository string, id string) string {
	names, err := readImageNames(store)
	if err != nil {
		return ""
	}
	for name, image := range names[repository] {
		if _, d, ok := strings.Cut(name, "@"); ok && image.String() == id {
			return d
		}
	}
	return ""
}

// pullDamaged pulls by digest from a registry that changes what it sends.
func pullDamaged(ctx context.Context, b *bench.Bench) error {
	if err := os.WriteFile(damageFile, nil, 0o644); err != nil {
		return err
	}
	err := pullInto(ctx, b, storeThird, registryAddress+"/web@"+webDigest())
	if err == nil {
		return errors.New("a damaged blob was taken for a whole one")
	}
	return os.Remove(damageFile)
}

func webDigest() string {
	return digestOf(storeElsewhere, registryAddress+"/web", imageIDOf(storeElsewhere, registryAddress+"/web:1").String())
}

func imageDigestStep() bench.Step {
	return bench.Step{
		Name: "digest", Reproduces: []string{"img-pull"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return pullInto(ctx, b, storeThird, registryAddress+"/web@"+webDigest())
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(exportDigest, pullLine(storeThird, registryAddress+"/web@$DIGEST"), "cat "+pullLog, "cutaway images --root third --digests"),
			Tools: imageTools,
		},
		Look: []bench.View{{Title: "what a third store has", Read: readThird}},
		Expect: []evidence.Expectation{
			evidence.Becomes("from a registry in order the same digest brings the image", "layers", evidence.Equals("3")),
			evidence.Becomes("its name has the digest in place of a tag", "names", evidence.Matches("^localhost:5000/web@sha256:[0-9a-f]{64}$")),
			evidence.Becomes("it is the image that web:1 is elsewhere", "its id is that of web:1 elsewhere", evidence.Equals("yes")),
		},
	}
}

// readThird looks at what a pull left in the third store, and how it ended.
func readThird(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	layers, _ := os.ReadDir(imageDB(storeThird, "layerdb/sha256"))
	facts := []evidence.Fact{evidence.F("layers", "ls "+imageDB(storeThird, "layerdb/sha256")+" | wc -l", fmt.Sprint(len(layers)))}
	if _, err := os.Stat(imageDB(storeThird)); err != nil {
		return nil, err
	}
	name, same := "none", "no"
	names, _ := readImageNames(storeThird)
	for _, of := range names {
		for n, id := range of {
			name = n
			same = map[bool]string{true: "yes", false: "no"}[id == imageIDOf(storeElsewhere, registryAddress+"/web:1")]
		}
	}
	facts = append(facts, evidence.F("names", "cat "+imageDB(storeThird, "repositories.json"), name), evidence.F("its id is that of web:1 elsewhere", "both repositories.json", same))
	text, err := os.ReadFile(pullLog)
	return append(facts, evidence.F("end of the pull", "tail -n 1 "+pullLog, endOfPull(string(text)))), err
}

// endOfPull is how a pull ended: with its last word, or with what went wrong.
func endOfPull(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := lines[len(lines)-1]
	if _, wrong, failed := strings.Cut(last, ": error "); failed {
		return cutText("error "+wrong, 60)
	}
	return "no error"
}
