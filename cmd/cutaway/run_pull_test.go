package main

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newPullSession is a session that holds no image, and a registry that holds
// the built-in one as demo/box.
func newPullSession(t *testing.T) (s *session, name string) {
	t.Helper()
	s = newStoreSession(t)
	group := "cutaway-pull-" + filepath.Base(filepath.Dir(s.runDir))
	s.env = append(s.env, "CUTAWAY_CGROUPS="+group)
	t.Cleanup(func() {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + group)
		for _, dir := range append(dirs, "/sys/fs/cgroup/"+group) {
			os.Remove(dir)
		}
	})
	name = registryHost(t) + "/demo/box"
	s.ok("pull", "-q", "box")
	s.ok("tag", "box", name)
	s.ok("push", "-q", name)
	s.ok("rmi", "box", name)
	return s, name
}

// TestRunBringsTheImageIn: run and create pull what is missing, as --pull says,
// and say so on standard error alone.
func TestRunBringsTheImageIn(t *testing.T) {
	s, name := newPullSession(t)
	cid := filepath.Join(t.TempDir(), "cid")
	for _, c := range []struct {
		args, stdout, stderr string // regular expressions for the whole
		code                 int
	}{
		{"run --rm --pull never NAME true", "", "Error: No such image: NAME: .*\n", 125},
		{"run --rm --pull sometimes NAME true", "", "Error: invalid pull option: 'sometimes': must be one of .*\n", 125},
		{"run --rm NAME echo hello", "hello\n", "Unable to find image 'NAME:latest' locally\nlatest: Pulling from demo/box\n" +
			"(.*: (Pulling fs layer|Download complete|Pull complete)\n){6}Digest: sha256:.*\nStatus: Downloaded newer image for NAME:latest\n", 0},
		{"run --rm NAME echo again", "again\n", "", 0},
		{"run --rm --pull always NAME echo new", "new\n", "latest: Pulling from demo/box\n(.*: Already exists\n)+Digest: .*\nStatus: Image is up to date for NAME:latest\n", 0},
		{"rmi NAME", "(.*\n)+", "", 0},
		{"create -q --name quiet NAME", "[0-9a-f]{64}\n", "", 0},
		{"rm quiet", "quiet\n", "", 0},
		{"run --cidfile CID NAME-not", "", "Unable to find image 'NAME-not:latest' locally\nlatest: Pulling from demo/box-not\nError: .*no such image or tag in the registry.*\n", 125},
		{"create --pull always NAME-not", "", "latest: Pulling from demo/box-not\nError: .*no such image or tag in the registry.*\n", 1},
		{"run sha256:" + strings.Repeat("0", 64), "", "Error: No such image: .*\n", 125},
		{"ps -aq", "", "", 0},
	} {
		args := strings.Fields(strings.NewReplacer("NAME", name, "CID", cid, "run ", "run --network none ").Replace(c.args))
		got := s.run(args...)
		for _, text := range []struct{ what, want, got string }{{"stdout", c.stdout, got.stdout}, {"stderr", c.stderr, got.stderr}} {
			want := strings.ReplaceAll(text.want, "NAME", regexp.QuoteMeta(name))
			if !regexp.MustCompile(`\A(` + want + `)\z`).MatchString(text.got) {
				t.Errorf("cutaway %s: %s = %q; want %q", c.args, text.what, text.got, want)
			}
		}
		if got.code != c.code {
			t.Errorf("cutaway %s = code %d; want %d: %s", c.args, got.code, c.code, got.stderr)
		}
	}
	if _, err := os.Stat(cid); err == nil {
		t.Error("the file for the container's id stayed, and there is no container")
	}
}

// TestTheDaemonBringsTheImageIn: with --host it is the daemon's store that lacks
// the image and gets it.
func TestTheDaemonBringsTheImageIn(t *testing.T) {
	s, name := newPullSession(t)
	client := newStoreSession(t)
	cmd := s.command(t.Context(), "daemon")
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(unix.SIGTERM)
	line, err := bufio.NewReader(said).ReadString('\n')
	_, host, found := strings.Cut(strings.TrimSpace(line), "answering on ")
	if err != nil || !found {
		t.Fatalf("the daemon said %q, %v; want where it answers", line, err)
	}
	got := client.run("create", "--host", host, name, "true")
	if got.code != 0 || !strings.Contains(got.stderr, "Pull complete\n") || !strings.HasSuffix(got.stderr, "Status: Downloaded newer image for "+name+":latest\n") {
		t.Errorf("create --host = %+v; want the pull on standard error", got)
	}
	if images := s.ok("images", "-q", name); images == "" {
		t.Error("the daemon's store has no such image after the pull")
	}
	if got := client.run("run", "--host", host, name+"-not"); got.code != 125 || !strings.Contains(got.stderr, "no such image or tag in the registry") {
		t.Errorf("run --host of what is in no registry = %+v; want 125 and why", got)
	}
	client.ok("rm", "--host", host, strings.TrimSpace(got.stdout))
}
