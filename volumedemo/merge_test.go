package volumedemo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestMergeGivesEachPlaceOneOwner(t *testing.T) {
	lent := []Point{
		{Type: Volume, Name: "db", Source: "/v/db", Destination: "/db", RW: true},
		{Type: Bind, Source: "/srv", Destination: "/www", RW: true},
		{Type: Tmpfs, Destination: "/run", RW: true},
	}
	got, err := Merge(Request{
		From:   []Inherited{{Points: lent}, {Points: lent[:1], ReadOnly: true}},
		Specs:  []Spec{{Type: Bind, Source: "/mine", Target: "/www/"}},
		Volume: []string{"/db", "cache", "/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Merged{
		Inherited: []Point{{Type: Volume, Name: "db", Source: "/v/db", Destination: "/db", Mode: "ro", Volume: VolumeOptions{NoCopy: true}}},
		Specs:     []Spec{{Type: Bind, Source: "/mine", Target: "/www"}, {Type: Volume, Target: "/cache"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Merge: (-want +got)\n%s", d)
	}
	_, err = Merge(Request{Specs: []Spec{{Type: Volume, Target: "/a"}, {Type: Tmpfs, Target: "/a/."}}})
	if err == nil || !strings.Contains(err.Error(), "Duplicate mount point: /a") {
		t.Errorf("Merge of two for one place: %v; want a duplicate", err)
	}
}

func TestMountsAreInTheRuntimesShape(t *testing.T) {
	points := []Point{
		{Type: Volume, Source: "/v/a/_data", Destination: "/a/b", RW: true},
		{Type: Bind, Source: "/srv", Destination: "/a", Propagation: "rslave"},
		{Type: Bind, Source: "/srv", Destination: "/c", Bind: BindOptions{NonRecursive: true}},
		{Type: Tmpfs, Destination: "/t", RW: true, Tmpfs: TmpfsOptions{Size: 4096, Options: []string{"exec"}}},
	}
	want := []specs.Mount{
		{Destination: "/a", Type: "bind", Source: "/srv", Options: []string{"rbind", "rslave", "ro", "rro"}},
		{Destination: "/c", Type: "bind", Source: "/srv", Options: []string{"bind", "rprivate", "ro"}},
		{Destination: "/t", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "noexec", "mode=1777", "size=4096", "exec"}},
		{Destination: "/a/b", Type: "bind", Source: "/v/a/_data", Options: []string{"rbind", "rprivate", "rw"}},
	}
	if d := cmp.Diff(want, Mounts(points)); d != "" {
		t.Errorf("Mounts: (-want +got)\n%s", d)
	}
	for _, m := range want {
		if _, err := planAttach(m); err != nil {
			t.Errorf("planAttach(%v): %v", m, err)
		}
	}
}
