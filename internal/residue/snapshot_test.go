package residue

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestDiffNamesWhatCameAndWent(t *testing.T) {
	before := Snapshot{"mount": {"/a": true, "/b": true}, "link": {"lo": true}}
	after := Snapshot{"mount": {"/b": true, "/run/cutaway/x": true}, "link": {"lo": true, "eth7": true}}
	changes := Diff(before, after)
	want := []string{"+ link eth7", "- mount /a", "+ mount /run/cutaway/x"}
	if len(changes) != len(want) {
		t.Fatalf("Diff = %v; want %v", changes, want)
	}
	for i := range want {
		if changes[i].String() != want[i] {
			t.Errorf("change %d = %q; want %q", i, changes[i], want[i])
		}
	}
	ours, others := Split(changes, "/run/cutaway")
	if len(ours) != 1 || len(others) != 2 {
		t.Errorf("Split = %v and %v; want one of ours", ours, others)
	}
}

func TestTakeSeesAFileAndIsQuick(t *testing.T) {
	dir := t.TempDir()
	before := Take(dir)
	if err := os.WriteFile(filepath.Join(dir, "cutaway-left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	ours, _ := Split(Diff(before, Take(dir)), dir)
	t.Logf("one snapshot: %v", time.Since(start))
	if len(ours) != 1 || ours[0].Category != "file" {
		t.Errorf("ours = %v; want the one file", ours)
	}
}

func TestDiffTellsASettingFromAModule(t *testing.T) {
	sysctl := func(items ...string) Snapshot {
		s := Snapshot{"sysctl": {}}
		for _, i := range items {
			s["sysctl"][i] = true
		}
		return s
	}
	if got := Diff(sysctl("net/a = 1"), sysctl("net/a = 1", "net/nf_conntrack_max = 8192")); len(got) != 0 {
		t.Errorf("a module came: %v; want nothing", got)
	}
	if got := Diff(sysctl("net/a = 1"), sysctl("net/a = 2")); len(got) != 2 {
		t.Errorf("a setting was changed: %v; want the old value gone and the new one there", got)
	}
}

func TestEveryCategoryReadsSomethingOrNothingWithoutFailing(t *testing.T) {
	s := Take()
	for _, category := range []string{"mount", "link", "sysctl", "file"} {
		if len(s[category]) == 0 {
			t.Errorf("category %s is empty; every Linux machine has some", category)
		}
	}
}
