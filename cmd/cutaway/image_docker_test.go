package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/engine"
)

// dockerLines are commands with the same meaning for Docker and for cutaway, in
// this order: later ones see what earlier ones did. ID is the image's id, ~ a space.
var dockerLines = []string{
	"images", "images -q", "images --no-trunc", "images --digests", "images -a", "image ls web", "images nothing", "images --filter dangling=true",
	"images --filter label=cutaway.image=web", "images --filter label=nothing", "images --filter reference=w*",
	"images --format {{.Repository}}:{{.Tag}}|{{.ID}}|{{.Size}}|{{.CreatedAt}}|{{.Digest}}",
	"tag web me/app:v1", "tag web localhost:5000/me/app", "images", "image ls me/app", "images me/*", "images --filter reference=*/app:v*",
	"history web", "history -q web", "history --no-trunc web", "history -H=false web", "history --format {{.ID}}|{{.CreatedBy}}|{{.Size}} web",
	"image inspect -f {{.Id}}|{{.Os}}|{{.Architecture}}|{{.Size}}|{{.Config.Cmd}}|{{.RootFS.Type}}|{{.RootFS.Layers}} web",
	"image inspect -f {{json~.Config.Env}}{{json~.Config.ExposedPorts}}{{json~.Config.Labels}}{{.Config.StopSignal}} web", "image inspect -f {{json~.RepoTags}} web", "image inspect -f {{.GraphDriver.Name}} web",
	"image inspect nope", "image inspect -f {{.Id}} nope web", "history nope", "tag nope x:y", "rmi nope", "rmi -f nope", "image rm",
	"tag one", "images one two", "images --nope", "history", "save", "import",
	"rmi ID", "rmi me/app:v1", "rmi me/app:v1", "rmi localhost:5000/me/app",
	"image prune -f", "rmi web", "images", "image prune -af",
}

// TestDockerSaysTheSame is the oracle: both hold the image web, both are told the
// same, and say the same, with the same exit code.
func TestDockerSaysTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: half a minute with Docker Engine; make test-guest")
	}
	s := newStoreSession(t)
	e := engine.Start(t, "", "--storage-driver", "overlay2")
	docker := func(args ...string) result {
		stdout, stderr, code := e.Run(t, nil, args...)
		return result{stdout, stderr, code}
	}
	archive := filepath.Join(t.TempDir(), "web.tar")
	s.ok("save", "-o", archive, "web")
	s.ok("rmi", "-f", "web")
	if want, got := docker("load", "-i", archive), s.run("load", "-i", archive); want != got {
		t.Errorf("load: %+v; docker %+v", got, want)
	}
	id := s.ok("images", "-q", "web")
	for _, line := range dockerLines {
		args := strings.Fields(strings.ReplaceAll(line, "ID", id))
		if strings.Contains(line, "{{.ID}}") {
			args = strings.Fields(line)
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "~", " ")
		}
		want, got := plainWords(docker(args...)), plainWords(s.run(args...))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%s (-docker +cutaway):\n%s", line, diff)
		}
	}
}

// plainWords leaves out what has to differ: who speaks, and that a daemon is asked.
func plainWords(r result) result {
	r.stderr = strings.ReplaceAll(r.stderr, "Error response from daemon: ", "Error: ")
	for _, text := range []*string{&r.stderr, &r.stdout} {
		*text = strings.ReplaceAll(*text, "cutaway", "docker")
		// Newer clients say it twice.
		*text = regexp.MustCompile(`no such image: \S+: No such`).ReplaceAllString(*text, "No such")
		*text = regexp.MustCompile(`(?m)[ \t]+$`).ReplaceAllString(*text, "")
	}
	if r.code == 125 || strings.Contains(r.stderr, " requires ") {
		r.stderr, _, _ = strings.Cut(r.stderr, "\n") // how to get help is said anew in each version
	}
	// Images of one age come in any order.
	lines := strings.Split(r.stdout, "\n")
	slices.Sort(lines)
	r.stdout = strings.Join(lines, "\n")
	return r
}
