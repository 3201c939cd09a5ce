package minicontainer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutaway/minicontainer"
	"cutaway/netdemo"
)

func wantDamaged(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	var damaged *minicontainer.Damaged
	if !errors.As(err, &damaged) {
		t.Errorf("%s = %v; want a damaged record", what, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s = %v; want %q in it", what, err, part)
		}
	}
}

// TestDamagedRecord: what a power cut can leave is told as that, hinders no other
// container, and can be removed.
func TestDamagedRecord(t *testing.T) {
	e := newEngine(t)
	whole := detached(t, e, box("whole", "sleep", "1000"))
	for what, c := range map[string]struct{ file, text string }{
		"empty":            {"config.v2.json", ""},
		"cut off":          {"config.v2.json", `{"ID":"`},
		"zeros":            {"config.v2.json", strings.Repeat("\x00", 4096)},
		"nothing":          {"config.v2.json", "null"},
		"empty hostconfig": {"hostconfig.json", ""},
	} {
		t.Run(what, func(t *testing.T) {
			broken, err := e.Create(box("broken", "true"))
			must(t, err)
			path := e.File(broken.ID, c.file)
			must(t, os.WriteFile(path, []byte(c.text), 0o600))

			_, err = e.Inspect("broken")
			wantDamaged(t, "Inspect", err, path, "cutaway rm "+minicontainer.ShortID(broken.ID))
			_, err = e.Start("broken", nil)
			wantDamaged(t, "Start", err)
			errs := e.Recover()
			if len(errs) != 1 {
				t.Errorf("Recover = %v; want one error", errs)
			}
			wantDamaged(t, "Recover", errors.Join(errs...), path)

			wantListed(t, e, map[string]string{"/whole": "running", "/broken": "dead"})
			if c, err := e.Inspect("whole"); err != nil || c.ID != whole.ID {
				t.Errorf("Inspect of another = %v, %v", c, err)
			}
			if _, _, code := run(t, e, box("next", "true")); code != 0 {
				t.Errorf("run of another = %d; want 0", code)
			}
			must(t, e.Remove("next", minicontainer.RemoveOptions{}))

			must(t, e.Remove("broken", minicontainer.RemoveOptions{}))
			wantListed(t, e, map[string]string{"/whole": "running"})
			if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its folder: %v; want gone", err)
			}
		})
	}
}

// TestRemovalBrokenOff: whoever dies over a removal leaves a container that can be
// named, and so removed, or only a name that the next one takes.
func TestRemovalBrokenOff(t *testing.T) {
	e := newEngine(t)
	for _, last := range []string{"marked", "record", "folder"} {
		c, err := e.Create(box("again", "true"))
		must(t, err)
		dir := filepath.Join(e.Settings().Root, "containers", c.ID)
		switch last {
		case "marked":
			_, err = e.Change(c.ID, func(c *minicontainer.Container) error { c.State.RemovalInProgress = true; return nil })
			must(t, err)
			must(t, e.Remove("again", minicontainer.RemoveOptions{}))
		case "record":
			must(t, os.Remove(dir+"/config.v2.json"))
		case "folder":
			must(t, e.Images.RemoveRoot(c.ID))
			must(t, os.RemoveAll(dir))
		}
		wantListed(t, e, map[string]string{})
	}
	_, err := e.Create(box("again", "true"))
	must(t, err)
	wantListed(t, e, map[string]string{"/again": "created"})
}

func wantListed(t *testing.T, e *minicontainer.Engine, want map[string]string) {
	t.Helper()
	all, err := e.List(minicontainer.ListOptions{All: true})
	must(t, err)
	for _, c := range all {
		if got := c.State.Status(); got != want[c.Name] {
			t.Errorf("List: %s is %s; want %q", c.Name, got, want[c.Name])
		}
	}
	if len(all) != len(want) {
		t.Errorf("List = %d containers; want %d", len(all), len(want))
	}
}

func TestDamagedNetworkRecord(t *testing.T) {
	e := newEngine(t)
	_, err := e.CreateNetwork(netdemo.NetworkSpec{Name: "whole"}, nil)
	must(t, err)
	path := filepath.Join(e.Settings().Root, "networks", "broken.json")
	must(t, os.WriteFile(path, nil, 0o600))
	_, err = e.Network("broken")
	wantDamaged(t, "Network", err, path, "cutaway network rm broken")
	all, err := e.ListNetworks()
	if err != nil || len(all) != 3 { // and "bridge"
		t.Errorf("ListNetworks = %d, %v; want 3", len(all), err)
	}
	if n, err := e.InspectNetwork("whole"); err != nil || n.Spec.Name != "whole" {
		t.Errorf("InspectNetwork of another = %v, %v", n, err)
	}
	must(t, e.RemoveNetwork("broken"))
	must(t, e.RemoveNetwork("whole"))
	if left := names(t, filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
