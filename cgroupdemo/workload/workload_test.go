package workload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWorkloads(t *testing.T) {
	if _, err := ForkUntilError(t.Context(), MaxForks+1, 0); err == nil {
		t.Error("ForkUntilError beyond MaxForks gave no error")
	}
	if made, err := ForkUntilError(t.Context(), 3, time.Millisecond); made != 3 || err != nil {
		t.Errorf("ForkUntilError(3) = %d, %v; want 3", made, err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if _, err := WriteDirect(t.Context(), path, 4096, 8192); !errors.Is(err, unix.ENOENT) {
		t.Errorf("WriteDirect to nothing = %v; want ENOENT", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := ReadCount(path); err == nil {
		t.Errorf("ReadCount of something else = %d; want an error", n)
	}
	if w, err := WriteDirect(t.Context(), path, 4096, 8192); err != nil && !errors.Is(err, unix.EINVAL) || err == nil && w.Bytes != 8192 {
		t.Errorf("WriteDirect = %+v, %v; want 8192 bytes", w, err)
	}
}
