package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cutaway/internal/engine"
)

// host is where containers are started by this program and by its peers alike:
// in the namespaces of a Docker Engine.
type host struct {
	*engine.Engine
	ours []string // this program there, on state of its own
}

// benchHost starts the engine. It keeps its layers with vfs.
func benchHost(b *testing.B) host {
	b.Helper()
	e := engine.Start(b, "/dev/shm")
	e.BusyBox(b)
	state, err := os.MkdirTemp("/dev/shm", "cutaway-bench-root")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(state) })
	return host{e, e.Inside(builtProgram(b), "--root", state+"/root", "--run-dir", state+"/run", "--cgroups", "cutaway-engine/"+filepath.Base(e.Dir))} // where engine.sh removes what is left
}

func (h host) cutaway(args ...string) []string {
	return append(h.ours[:len(h.ours):len(h.ours)], args...)
}

func (h host) docker(args ...string) []string {
	return h.Inside(h.Client(args...)...)
}

// BenchmarkRunContainer runs a container to its end on the bridge, with this
// program, Docker Engine and Podman, on the same host. The engine, with vfs,
// copies two megabytes more.
func BenchmarkRunContainer(b *testing.B) {
	h := benchHost(b)
	names, commands := []string{"cutaway", "docker"},
		[][]string{h.cutaway("run", "--rm", "box", "true"), h.docker("run", "--rm", "busybox", "true")}
	podman, why := h.podman(b)
	if why == "" {
		names, commands = append(names, "podman"), append(commands, podman)
	} else {
		b.Log(why)
	}
	succeed(b, commands)
	m := alternate(b, names, commands)
	for i := range m[1:] {
		b.ReportMetric(float64(m[i+1])/float64(m[0]), names[i+1]+"/cutaway")
	}
}

// podman is the command of Podman for the same container, or why there is none.
func (h host) podman(b *testing.B) (command []string, why string) {
	if _, err := exec.LookPath("podman"); err != nil {
		return nil, "podman is not installed (Debian package podman)"
	}
	base := h.Inside("podman", "--root", h.Dir+"/podman", "--runroot", h.Dir+"/podman-run", "--tmpdir", h.Dir+"/podman-tmp",
		"--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "none")
	command = append(base[:len(base):len(base)], "run", "--rm", "--network", "bridge",
		"--cgroup-parent", "/cutaway-engine/"+filepath.Base(h.Dir),
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", // its own defaults are more than some hosts allow
		"--pull", "never", "localhost/busybox", "true")
	b.Cleanup(func() {
		exec.Command(base[0], append(base[1:], "system", "reset", "--force")...).Run()
	})
	image := strings.Join(h.docker("save", "busybox"), " ") + " | " + strings.Join(base, " ") + " load"
	if out, err := exec.Command("sh", "-c", image).CombinedOutput(); err != nil {
		return nil, "podman takes no image here: " + string(out)
	}
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		return nil, "podman runs no container on a bridge here (CNI plugins or netavark missing?): " + string(out)
	}
	return command, ""
}
