package ground

import (
	"os"
	"path/filepath"
	"testing"
)

func TestInUserNamespace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uid_map")
	for text, want := range map[string]bool{
		"         0          0 4294967295\n":                 false,
		"         0       1000          1\n":                 true,
		"         0       1000          1\n1 100000 65536\n": true,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := inUserNamespace(path); got != want {
			t.Errorf("inUserNamespace of %q = %v; want %v", text, got, want)
		}
	}
	if inUserNamespace(path + ".absent") { // a kernel without user namespaces
		t.Error("inUserNamespace without a uid_map = true; want false")
	}
}
