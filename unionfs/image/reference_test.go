package image_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

func overwrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var someDigest = digest.FromString("x").String()

func TestParseReference(t *testing.T) {
	for in, want := range map[string]string{ // full form, then the key
		"alpine":                   "docker.io/library/alpine:latest alpine:latest",
		"alpine:3.20":              "docker.io/library/alpine:3.20 alpine:3.20",
		"user/app":                 "docker.io/user/app:latest user/app:latest",
		"docker.io/library/alpine": "docker.io/library/alpine:latest alpine:latest",
		"index.docker.io/alpine":   "docker.io/library/alpine:latest alpine:latest",
		"localhost/app":            "localhost/app:latest localhost/app:latest",
		"127.0.0.1:5000/a/b:t":     "127.0.0.1:5000/a/b:t 127.0.0.1:5000/a/b:t",
		"Host.example/app":         "Host.example/app:latest Host.example/app:latest",
		"a--b__c.d_e":              "docker.io/library/a--b__c.d_e:latest a--b__c.d_e:latest",
		"alpine@" + someDigest:     "docker.io/library/alpine@" + someDigest + " alpine@" + someDigest,
		"alpine:3@" + someDigest:   "docker.io/library/alpine:3@" + someDigest + " alpine@" + someDigest,
	} {
		r, err := image.ParseReference(in)
		if got := r.String() + " " + r.Name(); err != nil || got != want {
			t.Errorf("ParseReference(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ":", "Alpine", "a:", "a:-x", "a/", "/a", "a//b", "a b", "a___b", "a..b", "-a", "a-",
		"a@sha256:12", "a@md5:" + strings.Repeat("0", 32), "a:b:c", "host:port/x", "-h.x/a", "../a",
		strings.Repeat("a", 64), strings.Repeat("x", 300), "a:" + strings.Repeat("t", 129), "http://a.b/c",
	} {
		if r, err := image.ParseReference(in); err == nil {
			t.Errorf("ParseReference(%q) = %v; want an error", in, r)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"alpine", "a/b:c", "localhost:5000/x@" + someDigest, "", ":", "a@b", "A", "..", "a/../b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := image.ParseReference(s)
		if err != nil {
			return
		}
		for _, form := range []string{r.String(), r.Name()} {
			again, err := image.ParseReference(form)
			if err != nil {
				t.Errorf("ParseReference(%q) of ParseReference(%q): %v", form, s, err)
			}
			if again.Repository() != r.Repository() {
				t.Errorf("%q came back as repository %q; want %q", form, again.Repository(), r.Repository())
			}
		}
	})
}

func FuzzParseRepositories(f *testing.F) {
	f.Add([]byte(`{"Repositories":{"a":{"a:1":"` + someDigest + `"}}}`))
	f.Add([]byte(`{"Repositories":{"a":{"../b:1":"sha256:zz"}}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := image.ParseRepositories(data)
		if err != nil {
			return
		}
		out := must2(r.Encode())(t)
		if _, err := image.ParseRepositories(out); err != nil {
			t.Errorf("what Encode wrote is refused: %v: %s", err, out)
		}
	})
}

func FuzzParseImage(f *testing.F) {
	f.Add([]byte(`{"rootfs":{"type":"layers","diff_ids":["` + someDigest + `"]},"history":[{"created_by":"x"}]}`))
	f.Add([]byte(`{"rootfs":null}`))
	f.Add([]byte(`{"rootfs":{"diff_ids":["sha256:../../x"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := image.ParseImage(data)
		if err == nil && img.ImageID != digest.FromBytes(data) {
			t.Error("an image's id is not the digest of its bytes")
		}
	})
}

func FuzzParseManifests(f *testing.F) {
	f.Add([]byte(`[{"Config":"a.json","RepoTags":["a:1"],"Layers":["l/layer.tar"]}]`))
	f.Add([]byte(`[{"Config":"../a","RepoTags":null,"Layers":["/etc/shadow"]}]`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"` + someDigest + `","size":1}]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"` + someDigest + `"},"layers":[{"digest":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		image.ParseIndex(data)
		image.ParseImageManifest(data)
		list, err := image.ParseManifest(data)
		for _, m := range list {
			if err == nil && (strings.HasPrefix(m.Config, "/") || strings.Contains(m.Config, "../")) {
				t.Errorf("a path out of the archive passed: %q", m.Config)
			}
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{"dangling=true", "label=a=b", "reference=a*:v?", "before=x", "until=24h", "=", "nope"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := image.ParseFilter(text); err == nil && !strings.Contains(text, "=") {
			t.Errorf("ParseFilter(%q) passed without a value", text)
		}
	})
}

func FuzzParseChange(f *testing.F) {
	for _, seed := range []string{`CMD ["a", "b c"]`, "entrypoint run it", "ENV A=1", "ENV A 2 3", "EXPOSE 80 53/udp", `LABEL k="v w"`, "ENV", `VOLUME ["`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if change, err := image.ParseChange(line); err == nil {
			var c image.Config
			change(&c)
			change(&c) // a second time must not trip over the first
		}
	})
}
