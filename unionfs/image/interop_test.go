package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/engine"
	"cutaway/internal/needs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/image"
)

// TestEngine exchanges images with Docker Engine and compares the two stores on
// disk, file by file.
func TestEngine(t *testing.T) {
	e := engine.Start(t, "", "--storage-driver", "overlay2")
	ours := newStore(t)
	img := build(t, ours, "demo/app:v1")
	archive := save(t, ours, (*image.Store).Save, "demo/app:v1")

	e.Docker(t, bytes.NewReader(archive), "load")
	id := strings.TrimSpace(e.Docker(t, nil, "image", "inspect", "-f", "{{.Id}}", "demo/app:v1"))
	if id != img.ImageID.String() {
		t.Fatalf("Docker loaded our archive as %s; want %s", id, img.ImageID)
	}
	theirs := []byte(e.Docker(t, nil, "save", "demo/app:v1"))
	if diff := cmp.Diff(archiveFiles(t, theirs), archiveFiles(t, archive)); diff != "" {
		t.Errorf("docker save and our Save differ (-docker +ours):\n%s", diff)
	}
	again := newStore(t)
	loaded := must2(again.Load(bytes.NewReader(theirs)))(t)
	if loaded[0].Image.ImageID != img.ImageID {
		t.Errorf("we loaded Docker's archive as %s; want %s", loaded[0].Image.ImageID, img.ImageID)
	}
	t.Run("Layout", func(t *testing.T) { compareStores(t, e.Data(), ours) })
	t.Run("Container", func(t *testing.T) { compareContainer(t, e, ours, img) })
	t.Run("Commit", func(t *testing.T) { loadTheirCommit(t, e) })
}

// archiveFiles maps names to contents; layers to their length.
func archiveFiles(t *testing.T, data []byte) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content := must2(io.ReadAll(tr))(t)
		files[h.Name] = strings.TrimSpace(string(content))
		if strings.HasSuffix(h.Name, "layer.tar") {
			files[h.Name] = fmt.Sprintf("%d bytes", len(content))
		}
	}
}

// compareStores compares image/overlay2 and the layers' folders. Random names
// are put aside: cache ids become the chain id that points at them.
func compareStores(t *testing.T, docker string, ours *image.Store) {
	a, b := describeStore(t, docker), describeStore(t, ours.Root())
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the stores differ (-docker +ours):\n%s", diff)
	}
}

// emptySegment is a last line that older versions of tar-split write for nothing.
var emptySegment = regexp.MustCompile(`\{"type":2,"payload":"","position":\d+\}\n$`)

func describeStore(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	base := filepath.Join(root, "image/overlay2")
	chainOf := make(map[string]string) // cache id -> chain id
	caches, _ := filepath.Glob(base + "/layerdb/sha256/*/cache-id")
	for _, c := range caches {
		id := string(must2(os.ReadFile(c))(t))
		chainOf[id] = filepath.Base(filepath.Dir(c))[:12]
	}
	filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(base, path)
		if err != nil || d.IsDir() || strings.Contains(rel, "lastUpdated") {
			return err
		}
		content := must2(os.ReadFile(path))(t)
		switch filepath.Base(path) {
		case "cache-id":
			content = []byte("a cache id")
		case "tar-split.json.gz":
			content = must2(io.ReadAll(must2(gzip.NewReader(bytes.NewReader(content)))(t)))(t)
			content = emptySegment.ReplaceAll(content, nil)
		}
		found[rel] = string(content)
		return nil
	})
	for id, chain := range chainOf {
		describeLayer(t, filepath.Join(root, "overlay2"), id, chain, found)
	}
	return found
}

// describeLayer lists one overlay2 folder: names, modes, and how many layers
// lower names.
func describeLayer(t *testing.T, home, id, chain string, found map[string]string) {
	t.Helper()
	dir := filepath.Join(home, id)
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if rel == "work/work" {
			return nil // overlayfs makes it when the layer is mounted writable
		}
		fi, _ := d.Info()
		st := fi.Sys().(*syscall.Stat_t)
		found["overlay2 "+chain+" "+rel] = fmt.Sprintf("%v %d:%d rdev %d", fi.Mode(), st.Uid, st.Gid, st.Rdev)
		return nil
	})
	link := string(must2(os.ReadFile(dir + "/link"))(t))
	target := must2(os.Readlink(filepath.Join(home, "l", link)))(t)
	found["overlay2 "+chain+" link"] = fmt.Sprintf("%d characters, to its diff: %v", len(link), target == "../"+id+"/diff")
	lower, _ := os.ReadFile(dir + "/lower")
	found["overlay2 "+chain+" lower names"] = fmt.Sprint(strings.Count(string(lower), "l/"))
}

// compareContainer lets both make a container that is never started, and
// compares the init layers and layerdb/mounts.
func compareContainer(t *testing.T, e *engine.Engine, s *image.Store, img *image.Image) {
	id := strings.TrimSpace(e.Docker(t, nil, "create", "demo/app:v1"))
	must2(s.CreateRoot(id, img, noSize))(t)
	defer func() {
		if err := s.RemoveRoot(id); err != nil {
			t.Error(err)
		}
	}()
	var sides []map[string]string
	for _, root := range []string{e.Data(), s.Root()} {
		mounts := filepath.Join(root, "image/overlay2/layerdb/mounts", id)
		side := make(map[string]string)
		mount := string(must2(os.ReadFile(mounts + "/mount-id"))(t))
		initID := string(must2(os.ReadFile(mounts + "/init-id"))(t))
		side["parent"] = string(must2(os.ReadFile(mounts + "/parent"))(t))
		side["init-id"] = strings.Replace(initID, mount, "<mount-id>", 1)
		describeLayer(t, filepath.Join(root, "overlay2"), initID, "init", side)
		describeLayer(t, filepath.Join(root, "overlay2"), mount, "container", side)
		sides = append(sides, side)
	}
	if diff := cmp.Diff(sides[0], sides[1]); diff != "" {
		t.Errorf("the containers' layers differ (-docker +ours):\n%s", diff)
	}
	e.Docker(t, nil, "rm", id)
}

// loadTheirCommit takes in an image whose layers Docker made: an import, and a
// commit of a container with copied files in it.
func loadTheirCommit(t *testing.T, e *engine.Engine) {
	id := strings.TrimSpace(e.Docker(t, nil, "create", "demo/app:v1"))
	e.Docker(t, bytes.NewReader(tarOf(t, "etc/added")), "cp", "-", id+":/")
	want := strings.TrimSpace(e.Docker(t, nil, "commit", "-m", "from docker", id, "theirs:v2"))
	s := newStore(t)
	loaded := must2(s.Load(strings.NewReader(e.Docker(t, nil, "save", "theirs:v2"))))(t)
	if got := loaded[0].Image.ImageID.String(); got != want {
		t.Errorf("Docker's commit was loaded as %s; want %s", got, want)
	}
	steps := must2(s.Steps(loaded[0].Image))(t)
	if len(steps) != 5 || steps[0].Comment != "from docker" {
		t.Errorf("Steps of Docker's commit = %+v; want 5, the newest with the comment", steps)
	}
	back := save(t, s, (*image.Store).Save, "theirs:v2")
	if diff := cmp.Diff(archiveFiles(t, []byte(e.Docker(t, nil, "save", "theirs:v2"))), archiveFiles(t, back)); diff != "" {
		t.Errorf("docker save and our Save of Docker's image differ (-docker +ours):\n%s", diff)
	}
	e.Docker(t, nil, "rm", id)
}

func tarOf(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := image.WriteFiles(&b, []image.File{{Name: name, Mode: 0o644, Data: []byte(name)}}, epoch); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLayoutTools lets skopeo and umoci read our OCI layout.
func TestLayoutTools(t *testing.T) {
	s := newStore(t)
	img := build(t, s, "demo/app:v1")
	dir := contract.TempDir(t)
	archive := filepath.Join(dir, "layout.tar")
	overwrite(t, archive, string(save(t, s, (*image.Store).SaveLayout, "demo/app:v1")))
	layout := filepath.Join(dir, "layout")
	os.Mkdir(layout, 0o755)
	contract.Command(t, "tar", "-C", layout, "-xf", archive)
	t.Run("skopeo", func(t *testing.T) {
		needs.Program(t, "skopeo", "skopeo")
		out := contract.Command(t, "skopeo", "inspect", "--raw", "--config", "oci:"+layout+":v1")
		if strings.TrimSpace(out) != string(img.Raw) {
			t.Errorf("skopeo reads the configuration %s; want %s", out, img.Raw)
		}
		// And back: what skopeo writes loads here.
		contract.Command(t, "skopeo", "copy", "-q", "--insecure-policy", "oci:"+layout+":v1", "docker-archive:"+dir+"/theirs.tar:copied/app:v2")
		f := must2(os.Open(dir + "/theirs.tar"))(t)
		defer f.Close()
		loaded := must2(newStore(t).Load(f))(t)
		if loaded[0].Image.ImageID != img.ImageID || loaded[0].Names[0].Name() != "copied/app:v2" {
			t.Errorf("skopeo's archive loads as %v; want image %s named copied/app:v2", loaded, img.ImageID)
		}
	})
	t.Run("umoci", func(t *testing.T) {
		needs.Program(t, "umoci", "umoci")
		contract.Command(t, "umoci", "unpack", "--image", layout+":v1", dir+"/bundle")
		got, _ := os.ReadDir(dir + "/bundle/rootfs/etc")
		var names []string
		for _, e := range got {
			names = append(names, e.Name())
		}
		if !slices.Equal(names, []string{"issue"}) {
			t.Errorf("umoci unpacks etc with %v; want issue alone", names)
		}
	})
}
