package rootfs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestPlanOptions(t *testing.T) {
	tests := []struct {
		mount specs.Mount
		want  Plan
	}{
		{specs.Mount{Type: "tmpfs", Options: []string{"nosuid", "size=64k", "mode=700"}},
			Plan{Set: unix.MOUNT_ATTR_NOSUID, Data: []string{"size=64k", "mode=700"}}},
		{specs.Mount{Type: "tmpfs", Options: []string{"ro", "rw"}}, Plan{Clear: unix.MOUNT_ATTR_RDONLY, Super: []string{"rw"}}},
		{specs.Mount{Options: []string{"rbind", "ro", "rprivate"}}, Plan{Bind: true, Recursive: true, Set: unix.MOUNT_ATTR_RDONLY,
			Super: []string{"ro"}, Propagation: []Propagation{{unix.MS_PRIVATE, true}}}},
		{specs.Mount{Options: []string{"bind", "rro", "rnosuid"}}, Plan{Bind: true, SetRec: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}},
		{specs.Mount{Type: "bind", Options: []string{"noatime", "strictatime"}},
			Plan{Bind: true, Set: unix.MOUNT_ATTR_STRICTATIME, Clear: atime}},
		{specs.Mount{Type: "none", Options: []string{"ridmap"}}, Plan{IDMap: true, IDMapRec: true}},
	}
	for _, test := range tests {
		got, err := PlanOptions(test.mount)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("PlanOptions(%v) differs (-want +got):\n%s%v", test.mount, diff, err)
		}
	}
	if _, err := PlanOptions(specs.Mount{Type: "bind", Options: []string{"size=1"}}); err == nil {
		t.Error("a bind mount with a file system option is no error")
	}
}

func FuzzPlanOptions(f *testing.F) {
	f.Add("ro", "rro")
	f.Add("r", "shared")
	f.Add("", "=")
	f.Fuzz(func(t *testing.T, a, b string) {
		p, err := PlanOptions(specs.Mount{Type: "tmpfs", Options: []string{a, b}})
		if err != nil || p.Set&p.Clear&^atime != 0 {
			t.Errorf("PlanOptions(%q, %q) = %+v, %v; a bit is set and cleared", a, b, p, err)
		}
	})
}

func TestParsePropagation(t *testing.T) {
	for word, want := range map[string]Propagation{"": {unix.MS_SLAVE, true}, "shared": {unix.MS_SHARED, false},
		"rprivate": {unix.MS_PRIVATE, true}} {
		if got, err := ParsePropagation(word); err != nil || got != want {
			t.Errorf("ParsePropagation(%q) = %v, %v; want %v", word, got, err, want)
		}
	}
	if _, err := ParsePropagation("nonsense"); err == nil {
		t.Error("ParsePropagation(nonsense) is no error")
	}
}

func TestSplit(t *testing.T) {
	if diff := cmp.Diff([]string{"a", "..", "b"}, split("//a/./../b/")); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]string{"": "", "/a": "", "/a/b": "/a"} {
		if got := parent(path); got != want {
			t.Errorf("parent(%q) = %q; want %q", path, got, want)
		}
	}
}
