package oci

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedState: a state that makes no sense is told as that, and the other
// containers are listed all the same.
func TestDamagedState(t *testing.T) {
	var warned []string
	r := &Runtime{Root: t.TempDir(), Warn: func(err error) { warned = append(warned, err.Error()) }}
	config, err := json.Marshal(Example(false))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"whole", "broken"} {
		s := &State{}
		s.ID = id
		err := r.store().claim(id)
		if err == nil {
			err = r.store().save(s)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(r.Root, id, "config.json"), config, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(r.Root, "broken", "state.json")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open("broken"); err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), path) {
		t.Errorf("Open = %v; want that %s is damaged", err, path)
	}
	all, err := r.List()
	if err != nil || len(all) != 1 || all[0].ID != "whole" {
		t.Errorf("List = %v, %v; want the other one", all, err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], path) {
		t.Errorf("warnings = %q; want one about %s", warned, path)
	}
}
