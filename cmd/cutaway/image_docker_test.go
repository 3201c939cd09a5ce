package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// docker is Docker Engine, in a mount and a network namespace of its own, with its
// own data root, without a bridge or rules: enough for images.
type docker struct {
	t    *testing.T
	sock string
}

func startDocker(t *testing.T) docker {
	t.Helper()
	for _, p := range []string{"dockerd", "docker", "containerd"} {
		if _, err := exec.LookPath(p); err != nil {
			lacks(t, p+" (packages docker.io and docker-cli)")
		}
	}
	dir, err := os.MkdirTemp("", "cutaway-docker-") // a socket's path may have 108 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	runtime.LockOSThread() // Pdeathsig follows the thread
	d := docker{t, "unix://" + dir + "/docker.sock"}
	cmd := exec.Command("dockerd", "--host", d.sock, "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: unix.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
		runtime.UnlockOSThread()
	})
	for range 300 {
		if d.run("version").code == 0 {
			return d
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("dockerd did not come up")
	return d
}

func (d docker) run(args ...string) result {
	cmd := exec.Command("docker", append([]string{"-H", d.sock}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// lacks is a skip that names what is missing, or a failure where all is wanted.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CUTAWAY_REQUIRE") == "all" {
		t.Fatal("this machine lacks " + what)
	}
	t.Skip("this machine lacks " + what)
}

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
		t.Skip("starts Docker Engine")
	}
	s := newStoreSession(t)
	d := startDocker(t)
	archive := filepath.Join(t.TempDir(), "web.tar")
	s.ok("save", "-o", archive, "web")
	s.ok("rmi", "-f", "web")
	if want, got := d.run("load", "-i", archive), s.run("load", "-i", archive); want != got {
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
		want, got := plainWords(d.run(args...)), plainWords(s.run(args...))
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
