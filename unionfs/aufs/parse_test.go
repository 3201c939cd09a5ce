package aufs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

func TestKernelHasAufs(t *testing.T) {
	for text, want := range map[string]bool{
		"nodev\tsysfs\n\text4\nnodev\taufs\n": true,
		"nodev\tsysfs\nnodev\tmyaufs\n":       false,
		"":                                    false,
	} {
		path := t.TempDir() + "/filesystems"
		must(os.WriteFile(path, []byte(text), 0o644))
		if got := kernelHasAufs(path); got != want {
			t.Errorf("kernelHasAufs(%q) = %v; want %v", text, got, want)
		}
	}
}

func TestExplainKeepsErrno(t *testing.T) {
	_, err := New("br:/no/such/directory=rw")
	explained := Explain(err)
	if !errors.Is(explained, unix.EINVAL) || !strings.Contains(explained.Error(), "likely:") || !strings.Contains(explained.Error(), "/no/such") {
		t.Errorf("Explain = %v; want EINVAL, the path and what is likely", explained)
	}
	if Explain(nil) != nil {
		t.Error("Explain(nil) is an error")
	}
}

// FuzzParseNote: a note found in a branch never leads out of it.
func FuzzParseNote(f *testing.F) {
	f.Add("hide\x01a/b\x01\x02drop\x01a/b\x01")
	f.Add("move\x01../../etc/passwd\x01x")
	f.Add("drop\x01/etc\x01")
	f.Add("\x02\x01\x01")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseNote(text) {
			for _, path := range []string{s.path, s.to} {
				if path != "" && !filepath.IsLocal(path) && path != "." && !strings.ContainsRune(path, 0) {
					t.Errorf("parseNote(%q) has the path %q", text, path)
				}
			}
		}
	})
}

// FuzzFindSI: a broken mountinfo gives an error and no crash.
func FuzzFindSI(f *testing.F) {
	f.Add("36 25 0:31 / /mnt rw,relatime - aufs none rw,si=5d2d0a1b8f4c4c2e\n")
	f.Add("36 25 0:31 / /mnt rw - aufs\n - - -")
	f.Fuzz(func(t *testing.T, text string) {
		if si, err := findSI(strings.NewReader(text), "/mnt"); (si == "") != (err != nil) {
			t.Errorf("findSI(%q) = %q, %v", text, si, err)
		}
	})
}

func FuzzReadSysfs(f *testing.F) {
	f.Add("64", "/rw=rw\n", "/rw/.aufs.xino\n")
	f.Add("x", "", "")
	f.Add("-1", "/a b=ro+wh+nope", "\x00")
	f.Fuzz(func(t *testing.T, id, branch, xi string) {
		s, err := ReadSysfs(fstest.MapFS{
			"brid0": {Data: []byte(id)}, "br0": {Data: []byte(branch)}, "xi_path": {Data: []byte(xi)}, "bridge": {},
		})
		if err == nil && len(s.Branches) == 0 {
			t.Errorf("ReadSysfs loses the branch %q", branch)
		}
	})
}
