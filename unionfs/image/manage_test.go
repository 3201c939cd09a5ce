package image_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"cutaway/unionfs"
	"cutaway/unionfs/image"
)

var noSize = unionfs.CreateOptions{}

func removal(list []image.Removal) string {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = strings.Split(r.String(), " sha256:")[0]
	}
	return strings.Join(words, ", ")
}

func TestRemove(t *testing.T) {
	running := func(digest.Digest) ([]image.Use, error) {
		return []image.Use{{Container: "0123456789abcdef", Running: true}}, nil
	}
	stopped := func(digest.Digest) ([]image.Use, error) {
		return []image.Use{{Container: "0123456789abcdef"}}, nil
	}
	for _, c := range []struct {
		what  string
		tags  []string
		name  string // "ID" stands for the image's id
		force bool
		uses  func(digest.Digest) ([]image.Use, error)
		want  string // "" for a conflict
	}{
		{"last name", []string{"a:1"}, "a:1", false, nobody, "Untagged: a:1, Deleted:, Deleted:, Deleted:, Deleted:"},
		{"one of two names", []string{"a:1", "b:1"}, "a:1", false, nobody, "Untagged: a:1"},
		{"id with one name", []string{"a:1"}, "ID", false, nobody, "Untagged: a:1, Deleted:, Deleted:, Deleted:, Deleted:"},
		{"id with two tags of one repository", []string{"a:1", "a:2"}, "ID", false, nobody, "Untagged: a:1, Untagged: a:2, Deleted:, Deleted:, Deleted:, Deleted:"},
		{"id with two repositories", []string{"a:1", "b:1"}, "ID", false, nobody, ""},
		{"the same, forced", []string{"a:1", "b:1"}, "ID", true, nobody, "Untagged: a:1, Untagged: b:1, Deleted:, Deleted:, Deleted:, Deleted:"},
		{"used by a running container, by id, forced", []string{"a:1"}, "ID", true, running, ""},
		{"used, by name", []string{"a:1"}, "a:1", false, stopped, ""},
		{"used, by name, forced", []string{"a:1"}, "a:1", true, stopped, "Untagged: a:1"},
		{"used, one of two names", []string{"a:1", "b:1"}, "a:1", false, running, "Untagged: a:1"},
		{"used by a stopped container, by id", []string{"a:1"}, "ID", false, stopped, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newStore(t)
			empty := listing(t, s.Root())
			img := build(t, s, "")
			for _, tag := range c.tags {
				if err := s.Tag(ref(t, tag), img.ImageID); err != nil {
					t.Fatal(err)
				}
			}
			name := strings.Replace(c.name, "ID", img.ImageID.Encoded()[:12], 1)
			list, err := s.Remove(name, c.force, c.uses)
			if c.want == "" {
				if !errors.Is(err, image.ErrConflict) || len(list) > 0 {
					t.Errorf("Remove(%s) = %v, %v; want a conflict and nothing done", c.name, list, err)
				}
				return
			}
			if err != nil || removal(list) != c.want {
				t.Errorf("Remove(%s) = %q, %v; want %q", c.name, removal(list), err, c.want)
			}
			if strings.Contains(c.want, "Deleted") {
				after := strings.Replace(listing(t, s.Root()), "/image/overlay2/repositories.json\n", "", 1)
				if after != empty {
					t.Errorf("after the last image is gone:\n%swant:\n%s", after, empty)
				}
			}
		})
	}
}

// TestShare: two images on one base keep the base once, and removing one leaves
// the other whole.
func TestShare(t *testing.T) {
	s := newStore(t)
	base := build(t, s, "base")
	for _, n := range []string{"one", "two"} {
		b := s.NewBuilder(base, epoch)
		b.AddFiles("ADD "+n, []image.File{{Name: n, Mode: 0o644, Data: []byte(n)}})
		if err := s.Tag(ref(t, n), must2(b.Commit())(t).ImageID); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(must2(s.Layers())(t)); n != 5 {
		t.Errorf("%d layers for a base of three and two images on it; want 5", n)
	}
	for i := range 10 {
		must2(s.CreateRoot(strings.Repeat("c", i+1), base, noSize))(t)
	}
	u := must2(s.DiskUsage())(t)
	if u.Images != 3 || u.Containers != 10 || u.ActiveImage != 1 || u.Layers >= u.Sum {
		t.Errorf("DiskUsage() = %+v; want 3 images, 10 containers, 1 active, layers < sum", u)
	}
	if _, err := s.Remove("base", false, nobody); err != nil {
		t.Errorf("Remove(base): %v; want its name untagged", err)
	}
	must2(s.Remove("one", false, nobody))(t)
	two := must2(s.Resolve("two"))(t)
	if _, err := s.Chain(two); err != nil {
		t.Errorf("the other image after removing one: %v", err)
	}
}

func TestList(t *testing.T) {
	s := newStore(t)
	img := build(t, s, "app:v1")
	s.Tag(ref(t, "app@"+digest.FromString("m").String()), img.ImageID)
	b := s.NewBuilder(nil, epoch.Add(1e9))
	b.Empty("LABEL", func(c *image.Config) { c.Labels = map[string]string{"k": "v"} })
	loose := must2(b.Commit())(t)
	for filter, want := range map[string]string{
		"":                                       "<none>:<none> app:v1",
		"dangling=true":                          "<none>:<none>",
		"dangling=false":                         "app:v1",
		"label=k":                                "<none>:<none>",
		"label=k=w":                              "",
		"reference=a*":                           "app:v1",
		"reference=*:v2":                         "",
		"before=" + loose.ImageID.Encoded()[:20]: "app:v1",
		"since=app:v1":                           "<none>:<none>",
	} {
		var filters []image.Filter
		if filter != "" {
			filters = append(filters, must2(image.ParseFilter(filter))(t))
		}
		var shown []string
		for _, r := range must2(s.List(filters...))(t) {
			row := r.Show(epoch, false)
			shown = append(shown, row.Repository+":"+row.Tag)
		}
		if got := strings.Join(shown, " "); got != want {
			t.Errorf("List(%s) = %q; want %q", filter, got, want)
		}
	}
	for _, bad := range []string{"x", "dangling=maybe", "until=soon", "color=red", "reference=[", "="} {
		if _, err := image.ParseFilter(bad); err == nil {
			t.Errorf("ParseFilter(%q) = nil; want an error", bad)
		}
	}
}

func TestParseChange(t *testing.T) {
	var c image.Config
	for _, line := range []string{
		`CMD ["a", "b c"]`, `entrypoint run it`, `ENV A=1`, `ENV A 2 3`, `EXPOSE 80 53/udp`,
		`LABEL k="v w"`, `USER 7`, `VOLUME ["/data"]`, `WORKDIR /w`,
	} {
		must2(image.ParseChange(line))(t)(&c)
	}
	want := image.Config{
		Entrypoint: []string{"/bin/sh", "-c", "run it"}, Env: []string{"A=2 3"}, User: "7", WorkingDir: "/w",
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}},
		Labels:       map[string]string{"k": "v w"}, Volumes: map[string]struct{}{"/data": {}},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("after all changes (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "RUN x", "CMD", "STOPSIGNAL SIGINT"} {
		if _, err := image.ParseChange(bad); err == nil {
			t.Errorf("ParseChange(%q) = nil; want an error", bad)
		}
	}
}

// TestTampered: content that no longer has its name is noticed.
func TestTampered(t *testing.T) {
	s := newStore(t)
	img := build(t, s, "app")
	top := must2(s.Layer(img.ChainID()))(t)
	file := filepath.Join(s.Root(), "overlay2", top.CacheID, "diff/srv/www/index.html")
	overwrite(t, file, "changed")
	if err := s.Save(&bytes.Buffer{}, []image.Wanted{{Image: img}}); err == nil {
		t.Error("Save of a layer that was changed on disk = nil; want an error")
	}
	overwrite(t, filepath.Join(s.Root(), "image/overlay2/imagedb/content/sha256", img.ImageID.Encoded()), `{"rootfs":{}}`)
	if _, err := s.Get(img.ImageID); err == nil {
		t.Error("Get of a configuration that was changed on disk = nil; want an error")
	}
}
