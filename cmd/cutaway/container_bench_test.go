package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkRunContainer runs a container to its end on the bridge, with this
// program and with Docker Engine, in the same namespaces. The engine of
// scripts/engine.sh keeps its layers with vfs: it copies two megabytes more.
func BenchmarkRunContainer(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("needs root: makes cgroups and namespaces")
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		b.Skip("needs dockerd (Debian package docker.io)")
	}
	dir, err := os.MkdirTemp("/dev/shm", "cutaway-bench-engine")
	if err != nil {
		b.Fatal(err)
	}
	script, err := filepath.Abs("../../scripts/engine.sh")
	if err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(script, "start", dir).CombinedOutput(); err != nil {
		b.Fatalf("start the engine: %v: %s", err, out)
	}
	b.Cleanup(func() { exec.Command(script, "stop", dir).Run() })
	state, err := os.MkdirTemp("/dev/shm", "cutaway-bench-root")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(state) })
	there := []string{script, "run", dir}
	ours := append(there[:3:3], builtProgram(b), "--root", state+"/root", "--run-dir", state+"/run", "--cgroups", "cutaway-bench",
		"run", "--rm", "box", "true")
	docker := append(there[:3:3], "docker", "-H", "unix://"+dir+"/docker.sock", "run", "--rm", "busybox", "true")
	medians := alternate(b, []string{"cutaway", "docker"}, [][]string{ours, docker})
	b.ReportMetric(float64(medians[1])/float64(medians[0]), "docker/cutaway")
}
