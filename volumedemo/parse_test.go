package volumedemo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVolume(t *testing.T) {
	tests := []struct {
		text string
		want Spec
		err  string
	}{
		{text: "/data", want: Spec{Type: Volume, Target: "/data"}},
		{text: "/data/", want: Spec{Type: Volume, Target: "/data"}},
		{text: "data:/db", want: Spec{Type: Volume, Source: "data", Target: "/db"}},
		{text: "data:/db:ro", want: Spec{Type: Volume, Source: "data", Target: "/db", Mode: "ro", ReadOnly: true}},
		{text: "data:/db:nocopy,rw", want: Spec{Type: Volume, Source: "data", Target: "/db", Mode: "nocopy,rw", Volume: VolumeOptions{NoCopy: true}}},
		{text: "/srv/a/..:/www", want: Spec{Type: Bind, Source: "/srv", Target: "/www", Bind: BindOptions{CreateMissing: true}}},
		{text: "./site:/www:z", want: Spec{Type: Bind, Source: "/home/me/site", Target: "/www", Mode: "z", Bind: BindOptions{CreateMissing: true}}},
		{text: ".:/www", want: Spec{Type: Bind, Source: "/home/me", Target: "/www", Bind: BindOptions{CreateMissing: true}}},
		{text: "/srv:/www:rslave,ro", want: Spec{Type: Bind, Source: "/srv", Target: "/www", Mode: "rslave,ro", ReadOnly: true, Bind: BindOptions{CreateMissing: true, Propagation: "rslave"}}},
		{text: "", err: "invalid volume specification"},
		{text: ":", err: "invalid volume specification"},
		{text: ":/db", err: "no part empty"},
		{text: "/db:ro", err: "is a mode, not a path"},
		{text: "db", err: "must be absolute"},
		{text: "/", err: "destination can't be '/'"},
		{text: "/srv:/../", err: "destination can't be '/'"},
		{text: "data:db", err: "must be absolute"},
		{text: "a:/db:rw", err: "too short"},
		{text: "da/ta:/db", err: "invalid characters"},
		{text: "/srv:/www:ro,rw", err: "cannot both be meant"},
		{text: "/srv:/www:wo", err: "invalid mode: wo"},
		{text: "data:/www:shared", err: "BindOptions must not be specified"},
		{text: "/a:/b:ro:x", err: "more than three parts"},
	}
	for _, test := range tests {
		got, err := ParseVolume(test.text, "/home/me")
		check(t, "ParseVolume("+test.text+")", got, err, test.want, test.err)
	}
}

func check(t *testing.T, what string, got Spec, err error, want Spec, fails string) {
	t.Helper()
	switch {
	case fails == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case fails != "" && (err == nil || !strings.Contains(err.Error(), fails)):
		t.Errorf("%s: error %v; want one with %q", what, err, fails)
	case fails == "" && !cmp.Equal(got, want):
		t.Errorf("%s: (-want +got)\n%s", what, cmp.Diff(want, got))
	}
}

func TestParseMount(t *testing.T) {
	tests := []struct {
		text string
		want Spec
		err  string
	}{
		{text: "type=bind,source=/srv,target=/www", want: Spec{Type: Bind, Source: "/srv", Target: "/www"}},
		{text: "type=bind,src=/srv,dst=/www,readonly", want: Spec{Type: Bind, Source: "/srv", Target: "/www", ReadOnly: true}},
		{text: "type=bind,src=./site,dst=/www,ro=false,bind-propagation=rslave", want: Spec{Type: Bind, Source: "/home/me/site", Target: "/www", Bind: BindOptions{Propagation: "rslave"}}},
		{text: "type=bind,src=/srv,dst=/www,bind-recursive=disabled", want: Spec{Type: Bind, Source: "/srv", Target: "/www", Bind: BindOptions{NonRecursive: true}}},
		{text: "source=data,destination=/db", want: Spec{Type: Volume, Source: "data", Target: "/db"}},
		{text: "type=volume,dst=/db,volume-nocopy,volume-label=a=b", want: Spec{Type: Volume, Target: "/db", Volume: VolumeOptions{NoCopy: true, Labels: map[string]string{"a": "b"}}}},
		{text: "type=tmpfs,dst=/run,tmpfs-size=64k,tmpfs-mode=1770", want: Spec{Type: Tmpfs, Target: "/run", Tmpfs: TmpfsOptions{Size: 65536, Mode: 0o1770}}},
		{text: `type=bind,"src=/a,b",dst=/www`, want: Spec{Type: Bind, Source: "/a,b", Target: "/www"}},
		{text: "type=bind,sorce=/srv,target=/www", err: "unexpected key 'sorce' in 'sorce=/srv'"},
		{text: "type=bind,source,target=/www", err: "must be a key=value pair"},
		{text: "type=bind,source=/srv", err: "target is required"},
		{text: "type=bind,target=/www", err: "Source must not be empty"},
		{text: "type=bind,source=srv,target=/www", err: "must be absolute"},
		{text: "type=bind,source=/srv,target=www", err: "must be absolute"},
		{text: "type=bund,source=/srv,target=/www", err: "mount type unknown"},
		{text: "type=bind,source=/srv,target=/www,bind-propagation=both", err: "invalid propagation mode: both"},
		{text: "type=bind,source=/srv,target=/www,readonly=maybe", err: "invalid value for readonly: maybe"},
		{text: "type=bind,source=/srv,target=/www,volume-nocopy", err: "cannot mix 'volume-*' options with mount type 'bind'"},
		{text: "type=bind,source=/srv,target=/www,bind-recursive=readonly,readonly", err: "needs bind-propagation=rprivate"},
		{text: "type=tmpfs,source=/srv,target=/www", err: "Source must not be specified"},
		{text: "type=tmpfs,target=/www,tmpfs-size=big", err: "invalid value for tmpfs-size: big"},
		{text: "type=tmpfs,target=/www,tmpfs-mode=9", err: "octal"},
		{text: "type=volume,target=/db,readonly", err: "must not set ReadOnly mode when using anonymous volumes"},
		{text: "type=volume,source=data,target=/db,volume-driver=nfs", err: "not known"},
		{text: "type=volume,source=data,target=/db,volume-subpath=../x", err: "within the volume"},
		{text: "", err: "EOF"},
	}
	for _, test := range tests {
		got, err := ParseMount(test.text, "/home/me")
		check(t, "ParseMount("+test.text+")", got, err, test.want, test.err)
	}
}

func TestParseTmpfs(t *testing.T) {
	got, err := ParseTmpfs("/run/:rw,exec,size=64k")
	check(t, "ParseTmpfs", got, err, Spec{Type: Tmpfs, Target: "/run", Tmpfs: TmpfsOptions{Options: []string{"rw", "exec", "size=64k"}}}, "")
	for text, fails := range map[string]string{"run": "must be absolute", "/run:fast": "invalid tmpfs option", "/run:size": "invalid tmpfs option"} {
		_, err := ParseTmpfs(text)
		check(t, "ParseTmpfs("+text+")", Spec{}, err, Spec{}, fails)
	}
}

func TestParseFrom(t *testing.T) {
	for text, want := range map[string]From{
		"db":    {Container: "db"},
		"db:ro": {Container: "db", Mode: "ro", ReadOnly: true},
	} {
		if got, err := ParseFrom(text); err != nil || got != want {
			t.Errorf("ParseFrom(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":ro", "db:", "db:nocopy", "db:rslave"} {
		if got, err := ParseFrom(text); err == nil {
			t.Errorf("ParseFrom(%q) = %v; want an error", text, got)
		}
	}
}

func FuzzParseVolume(f *testing.F) {
	for _, seed := range []string{"/data", "data:/db:ro", "./a:/b:rslave,nocopy", "::", "a:b:c:d", "/x:/../.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseVolume(text, "/home/me"); err == nil {
			soundSpec(t, s)
		}
	})
}

func FuzzParseMount(f *testing.F) {
	for _, seed := range []string{"type=bind,src=/a,dst=/b,ro", `"type=volume",dst=/b`, "type=tmpfs,dst=/t,tmpfs-size=1k", "=,=,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseMount(text, "/home/me"); err == nil {
			soundSpec(t, s)
		}
	})
}

// soundSpec: what a parser lets through stays below the root and valid.
func soundSpec(t *testing.T, s Spec) {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Errorf("%+v was let through: %v", s, err)
	}
	if s.Type != Tmpfs && strings.HasPrefix(s.Source, ".") {
		t.Errorf("%+v: the source is still relative", s)
	}
}
