package cgroupdemo

import (
	"regexp"
	"testing"
)

// The forms as expressions say the same in other words.
func FuzzForms(f *testing.F) {
	forms := []struct {
		name string
		is   func(string) bool
		want *regexp.Regexp
	}{
		{"isPageSize", isPageSize, regexp.MustCompile(`^[1-9][0-9]*[KMG]B$`)},
		{"isUnifiedKey", isUnifiedKey, regexp.MustCompile(`^[a-z_]+(\.[A-Za-z0-9_]+)+$`)},
		{"isCPUList", isCPUList, regexp.MustCompile(`^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$`)},
	}
	for _, text := range []string{
		"", "2MB", "1GB", "64KB", "02MB", "MB", "B", "2M", "2TB", "2mB", "12", "-1MB", "2 MB", "2MB\n", "１MB",
		"memory.high", "cgroup.max.depth", "io.bfq.weight", "memory", ".high", "memory.", "memory..high", "../memory.high", "memory.high/x", "Memory.high", "hugetlb.2MB.max", "a.b\n",
		"0", "0-3", "0-3,7", "0,", ",0", "0-", "-3", "0-3-5", "0,,1", "a", "0-b", " 0", "0\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, form := range forms {
			if got, want := form.is(text), form.want.MatchString(text); got != want {
				t.Errorf("%s(%q) = %v; want %v", form.name, text, got, want)
			}
		}
	})
}
