package cgroupdemo

import "testing"

// TestLiveAdopt takes over a group that somebody made in one hierarchy only.
func TestLiveAdopt(t *testing.T) {
	g := live(t, "adopted")
	for _, dir := range g.dirs()[1:] {
		if err := rmdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	hs, err := Read("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // partly there, then all there
		if _, err := Adopt(hs, g.Config); err != nil {
			t.Fatalf("Adopt(%s) = %v", g.Config.Name, err)
		}
		for _, dir := range g.dirs() {
			if !exists(dir) {
				t.Errorf("after Adopt(%s) there is no %s", g.Config.Name, dir)
			}
		}
	}
}
