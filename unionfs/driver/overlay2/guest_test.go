package overlay2_test

import (
	"testing"

	"cutaway/internal/vm/vmtest"
)

// TestSizeLimitInGuest runs TestSizeLimit in a virtual machine, whose kernel was
// built with project quota. There nothing may be skipped.
func TestSizeLimitInGuest(t *testing.T) {
	if testing.Short() || vmtest.Inside() {
		t.Skip("-short, or the guest itself: boots a virtual machine; make test-guest")
	}
	t.Log(vmtest.Again(t, vmtest.Guest{ScratchMB: 1024, Format: true, Env: []string{"CUTAWAY_REQUIRE=all"}},
		"-test.v", "-test.run", "^TestSizeLimit$"))
}
