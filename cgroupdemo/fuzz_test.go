package cgroupdemo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seed adds every captured text of one kind.
func seed(f *testing.F, pattern string) {
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
}

func FuzzParseMountinfo(f *testing.F) {
	seed(f, "*.mountinfo")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseMountinfo(strings.NewReader(text))
		seen := map[string]bool{}
		for _, h := range list {
			if h.Version != V1 && h.Version != V2 || seen[h.Device] {
				t.Errorf("ParseMountinfo(%q) = %+v, %v: a version or a device is wrong", text, list, err)
			}
			seen[h.Device] = true
		}
	})
}

func FuzzParseMembership(f *testing.F) {
	seed(f, "*.cgroup")
	f.Fuzz(func(t *testing.T, text string) {
		list, _ := ParseMembership(strings.NewReader(text))
		for _, m := range list {
			if !strings.HasPrefix(m.Path, "/") || m.ID < 0 {
				t.Errorf("ParseMembership(%q) has %+v", text, m)
			}
			if dir, err := (Hierarchy{MountPoint: "/m", Root: "/"}).Dir(m.Path); err == nil && dir != "/m" && !strings.HasPrefix(dir, "/m/") {
				t.Errorf("Dir(%q) = %q: left the mount", m.Path, dir)
			}
		}
	})
}

func FuzzParseControllers(f *testing.F) {
	seed(f, "*.cgroups")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseControllers(strings.NewReader(text))
		for _, s := range list {
			if s.Name == "" {
				t.Errorf("ParseControllers(%q) = %+v, %v: no name", text, list, err)
			}
		}
	})
}

func FuzzParseTable(f *testing.F) {
	f.Add("low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n")
	f.Add("usage_usec 1\n\nuser_usec max")
	f.Fuzz(func(t *testing.T, text string) {
		if table, err := ParseTable(text); err == nil && len(table) > strings.Count(text, "\n")+1 {
			t.Errorf("ParseTable(%q) = %v: more entries than lines", text, table)
		}
	})
}

func FuzzParseIO(f *testing.F) {
	f.Add("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n", "8:0 Read 4096\n8:0 Write 1\nTotal 4097\n")
	f.Fuzz(func(t *testing.T, v2, v1 string) {
		// Both have to answer, whatever comes.
		_, _ = ParseIOStat(v2)
		_, _ = ParseBlkio(v1, v2)
	})
}
