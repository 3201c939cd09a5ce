package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"cutaway/volumedemo"
)

// The life of volumes on the command line, in Docker's words.
func TestVolumeVerbs(t *testing.T) {
	s := newStoreSession(t)
	if got := s.ok("volume", "create", "--label", "of=me", "data"); got != "data" {
		t.Errorf("volume create = %q; want the name", got)
	}
	anonymous := s.ok("volume", "create")
	if !regexp.MustCompile("^[0-9a-f]{64}$").MatchString(anonymous) {
		t.Errorf("volume create without a name = %q", anonymous)
	}
	if got := s.ok("volume", "ls", "-q", "--filter", "label=of"); got != "data" {
		t.Errorf("volume ls by label = %q; want data", got)
	}
	if got := s.ok("volume", "ls"); !regexp.MustCompile(`^DRIVER +VOLUME NAME\nlocal +`).MatchString(got) {
		t.Errorf("volume ls = %q", got)
	}
	var shown []volumedemo.Info
	if err := json.Unmarshal([]byte(s.ok("volume", "inspect", "data")), &shown); err != nil || len(shown) != 1 || shown[0].Labels["of"] != "me" {
		t.Errorf("volume inspect = %+v, %v", shown, err)
	}
	s.ok("create", "--name", "user", "-v", "data:/data", "box")
	used := s.run("volume", "rm", "data")
	if used.code != 1 || !strings.Contains(used.stderr, "remove data: volume is in use - [") {
		t.Errorf("volume rm in use = code %d, %q", used.code, used.stderr)
	}
	if got := s.ok("volume", "ls", "-q", "-f", "dangling=true"); got != anonymous {
		t.Errorf("dangling = %q; want the anonymous one", got)
	}
	if got := s.ok("volume", "prune", "-f"); !strings.HasPrefix(got, "Deleted Volumes:\n"+anonymous+"\n") {
		t.Errorf("volume prune = %q", got)
	}
	if got := s.ok("system", "df"); !regexp.MustCompile(`Local Volumes +1 +1 `).MatchString(got) {
		t.Errorf("system df = %q", got)
	}
	s.ok("rm", "user")
	s.ok("volume", "rm", "data")
	if got := s.ok("volume", "ls", "-q"); got != "" {
		t.Errorf("left: %q", got)
	}
}

// Mistakes get Docker's sentences and exit codes.
func TestVolumeMistakes(t *testing.T) {
	s := newStoreSession(t)
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"volume", "rm", "nosuch"}, 1, "no such volume"},
		{[]string{"volume", "rm", "-f", "nosuch"}, 0, ""},
		{[]string{"volume", "inspect", "nosuch"}, 1, "no such volume"},
		{[]string{"volume", "create", "a"}, 1, "too short"},
		{[]string{"volume", "create", "../up"}, 1, "invalid characters"},
		{[]string{"volume", "create", "-d", "nfs", "data"}, 1, "plugin \"nfs\" not found"},
		{[]string{"volume", "create", "one", "two"}, 1, "requires at most 1 argument"},
		{[]string{"volume", "ls", "--filter", "dangling=maybe"}, 1, "invalid filter"},
		{[]string{"volume", "rm"}, 1, "requires at least 1 argument"},
		{[]string{"volume", "rm", "--nosuch"}, 125, "unknown flag"},
	} {
		if r := s.run(test.args...); r.code != test.code || !strings.Contains(r.stderr, test.says) {
			t.Errorf("cutaway %q = code %d, %q; want %d with %q", test.args, r.code, r.stderr, test.code, test.says)
		}
	}
}
