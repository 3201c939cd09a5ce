package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// newStoreSession is a session with a state root of its own. Mounts that the
// store makes for a moment are made in a mount namespace of each command's own.
func newStoreSession(t *testing.T) *session {
	t.Helper()
	needs.Root(t)
	s := newSession(t)
	s.attr.Unshareflags = unix.CLONE_NEWNS
	return s
}

// ok runs a command that has to succeed and returns its output.
func (s *session) ok(args ...string) string {
	s.t.Helper()
	r := s.run(args...)
	if r.code != 0 {
		s.t.Fatalf("cutaway %s = code %d: %s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// registryHost is a registry in this process, on loopback.
func registryHost(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestPullShowsLayers(t *testing.T) {
	s, host := newStoreSession(t), registryHost(t)
	s.ok("pull", "-q", "box")
	s.ok("pull", "-q", "web")
	for _, name := range []string{"box", "web"} {
		s.ok("tag", name, host+"/demo/"+name)
		s.ok("push", "-q", host+"/demo/"+name)
	}
	id := s.ok("images", "-q", "--no-trunc", "web")
	s.ok("rmi", "-f", id)
	s.ok("rmi", "-f", "box", host+"/demo/box")
	if left := s.ok("images", "-q", "-a"); left != "" {
		t.Fatalf("images after rmi: %s; want none", left)
	}

	out := hideDigests(s.ok("pull", host+"/demo/box"))
	want := `Using default tag: latest
latest: Pulling from demo/box
<id>: Pulling fs layer
<id>: Pulling fs layer
<id>: Download complete
<id>: Download complete
<id>: Pull complete
<id>: Pull complete
Digest: sha256:<digest>
Status: Downloaded newer image for HOST/demo/box:latest
HOST/demo/box:latest`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(strings.ReplaceAll(out, host, "HOST"), "\n")); diff != "" {
		t.Errorf("pull (-want +got):\n%s", diff)
	}
	out = s.ok("pull", host+"/demo/web")
	if n := strings.Count(out, "Already exists"); n != 2 {
		t.Errorf("pull of web: %d layers Already exists; want box's 2:\n%s", n, out)
	}
	if got := s.ok("images", "-q", "--no-trunc", host+"/demo/web"); got != id {
		t.Errorf("web came back as %s; want %s", got, id)
	}
	digest := s.ok("images", "--format", "{{.Digest}}", host+"/demo/web")
	out = s.ok("pull", host+"/demo/web@"+digest)
	if !strings.Contains(out, "Status: Image is up to date for "+host+"/demo/web@"+digest) {
		t.Errorf("pull by digest = %s; want up to date", out)
	}
}

// hideDigests leaves what is the same every time, in the order of Docker's words.
func hideDigests(out string) string {
	out = regexp.MustCompile(`(?m)^[0-9a-f]{12}:`).ReplaceAllString(out, "<id>:")
	out = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(out, "sha256:<digest>")
	lines := strings.Split(out, "\n")
	rank := func(line string) int {
		return slices.IndexFunc([]string{"Pulling fs", "Download c", "Pull c"}, func(w string) bool { return strings.HasPrefix(line, "<id>: "+w) })
	}
	// Layers come at the same time, in any order.
	slices.SortStableFunc(lines, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra >= 0 && rb >= 0 {
			return ra - rb
		}
		return 0
	})
	return strings.Join(lines, "\n")
}

func TestImageListing(t *testing.T) {
	s := newStoreSession(t)
	s.ok("pull", "-q", "web")
	s.ok("tag", "web", "me/app:v1")
	for _, c := range []struct{ args, want string }{
		{"images --format {{.Repository}}:{{.Tag}}", "me/app:v1\nweb:latest"},
		{"images --format {{.Repository}}:{{.Tag}} me/*", "me/app:v1"},
		{"image ls --filter label=cutaway.image=web --format {{.Tag}} web", "latest"},
		{"image ls --filter dangling=true -q", ""},
		{"image ls --filter reference=we* --format {{.Repository}}", "web"},
		{"images nothing:here --format {{.ID}}", ""},
	} {
		if got := s.ok(strings.Fields(c.args)...); got != c.want {
			t.Errorf("cutaway %s = %q; want %q", c.args, got, c.want)
		}
	}
	if head, _, _ := strings.Cut(s.ok("images", "--digests"), "\n"); strings.Join(strings.Fields(head), " ") != "REPOSITORY TAG DIGEST IMAGE ID CREATED SIZE" {
		t.Errorf("images --digests has the headings %q", head)
	}
	if short, long := s.ok("images", "-q", "web"), s.ok("images", "-q", "--no-trunc", "web"); len(short) != 12 || !strings.HasPrefix(long, "sha256:"+short) {
		t.Errorf("images -q = %q, with --no-trunc %q; want 12 digits and the whole id", short, long)
	}
	if r := s.run("images", "--format", "{{.Nope}}"); r.code != 1 || !strings.Contains(r.stderr, "template parsing error") {
		t.Errorf("images --format {{.Nope}} = %d, %q; want 1 and what is wrong", r.code, r.stderr)
	}
	if all := s.ok("images", "-aq"); len(strings.Fields(all)) != 3 {
		t.Errorf("images -aq = %q; want the image that web was made from, too", all)
	}
}

func TestImageInspectAndHistory(t *testing.T) {
	s := newStoreSession(t)
	var list []imageInfo
	if err := json.Unmarshal([]byte(s.ok("image", "inspect", "web")), &list); err != nil {
		t.Fatal(err)
	}
	web := list[0]
	if len(list) != 1 || web.Config.WorkingDir != "/www" || web.GraphDriver.Name == "" || len(web.RootFS.Layers) != 3 || web.RepoTags[0] != "web:latest" {
		t.Errorf("image inspect web = %+v; want /www, a driver and 3 layers", web)
	}
	if got := s.ok("image", "inspect", "-f", "{{.Os}} {{json .Config.Cmd}}", "web"); got != `linux ["httpd","-f","-v","-p","80","-h","/www"]` {
		t.Errorf("image inspect -f = %s", got)
	}
	history := s.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}", "web")
	if !strings.Contains(history, "EXPOSE 80/tcp|0B") || !strings.Contains(history, "ADD page in /www|") {
		t.Errorf("history web = %s", history)
	}
	ids := strings.Fields(s.ok("history", "-q", "web"))
	if ids[0] != web.Id[7:19] || !slices.Contains(ids, "<missing>") {
		t.Errorf("history -q web = %v; want the image's id first, and <missing>", ids)
	}
}

func TestArchives(t *testing.T) {
	s, other := newStoreSession(t), newStoreSession(t)
	dir := t.TempDir()
	id := s.ok("image", "inspect", "-f", "{{.Id}}", "web")
	for _, format := range []string{"docker-archive", "oci-archive"} {
		file := filepath.Join(dir, format)
		s.ok("save", "--format", format, "-o", file, "web")
		if got := other.ok("load", "-i", file); got != "Loaded image: web:latest" {
			t.Errorf("load of %s = %q", format, got)
		}
		if got := other.ok("image", "inspect", "-f", "{{.Id}}", "web"); got != id {
			t.Errorf("%s brought the image %s; want %s", format, got, id)
		}
		other.ok("rmi", "web")
	}
	tree := filepath.Join(dir, "tree.tar")
	writeTar(t, tree, "etc/motd")
	got := s.ok("import", "-c", `CMD ["cat","/etc/motd"]`, "-m", "mine", tree, "tree:v1")
	if want := s.ok("images", "-q", "--no-trunc", "tree:v1"); got != want {
		t.Errorf("import printed %s; the image is %s", got, want)
	}
	if got := s.ok("history", "--format", "{{.Comment}}", "tree:v1"); got != "mine" {
		t.Errorf("import -m mine gave the comment %q", got)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer web.Close()
	if r := s.run("import", web.URL+"/nothing.tar"); r.code != 1 || !strings.Contains(r.stderr, "404") {
		t.Errorf("import of a page that is not there = %d, %q; want 1 and why", r.code, r.stderr)
	}
	s.ok("import", web.URL+"/tree.tar", "tree:v2")
	if got := s.ok("images", "--filter", "until=10h", "-q", "tree"); got != "" {
		t.Errorf("images older than ten hours: %s; want none", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".cutaway-save-*")); len(left) > 0 {
		t.Errorf("save left %v", left)
	}
}

func TestRemoveAndPrune(t *testing.T) {
	s := newStoreSession(t)
	s.ok("pull", "-q", "web")
	s.ok("tag", "web", "other:1")
	id := s.ok("images", "-q", "web")
	r := s.run("rmi", id)
	if want := "Error: conflict: unable to delete " + id + " (must be forced) - image is referenced in multiple repositories\n"; r.code != 1 || r.stderr != want {
		t.Errorf("rmi by id = %d, %q; want 1, %q", r.code, r.stderr, want)
	}
	if got := s.ok("rmi", "other:1"); got != "Untagged: other:1" {
		t.Errorf("rmi other:1 = %q", got)
	}
	r = s.run("rmi", "nope", "web")
	if r.code != 1 || r.stderr != "Error: No such image: nope:latest\n" || !strings.Contains(r.stdout, "Untagged: web:latest\nDeleted: sha256:") {
		t.Errorf("rmi nope web = %d, %q, %q; want an error for nope, and web gone", r.code, r.stdout, r.stderr)
	}
	if r := s.run("rmi", "-f", "nope"); r.code != 0 {
		t.Errorf("rmi -f nope = %d; want 0, as Docker has it", r.code)
	}
	s.ok("pull", "-q", "box")
	if got := s.ok("image", "prune", "-f"); got != "Total reclaimed space: 0B" {
		t.Errorf("image prune -f = %q; want nothing removed: box has a name", got)
	}
	if got := s.ok("system", "df", "--format", "{{.Type}} {{.TotalCount}}"); !strings.HasPrefix(got, "Images 1\n") {
		t.Errorf("system df = %q; want Images 1", got)
	}
	if got := s.ok("system", "prune", "-af"); !strings.Contains(got, "untagged: box:latest") || !strings.Contains(got, "Total reclaimed space: ") {
		t.Errorf("system prune -af = %q", got)
	}
	if left, _ := os.ReadDir(filepath.Join(s.root(), "image/overlay2/layerdb/sha256")); len(left) > 0 {
		t.Errorf("layers after prune -a: %v; want none", left)
	}
}
