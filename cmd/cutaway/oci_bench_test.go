package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cutaway/internal/needs"
	"cutaway/minicontainer/oci"
)

// BenchmarkOCIRun runs /bin/true in a container with this program, runc,
// bubblewrap and crun in turn.
func BenchmarkOCIRun(b *testing.B) {
	needs.Root(b)
	runc := needs.Program(b, "runc", "runc")
	needs.Program(b, "bwrap", "bubblewrap") // without it there would be a time of nothing
	bundle := benchBundle(b)
	names := []string{"cutaway", "runc", "bwrap"}
	commands := [][]string{
		{builtProgram(b), "oci", "--root", bundle + "/cutaway", "run", "-b", bundle, "cutaway-bench"},
		{runc, "--root", bundle + "/runc", "run", "-b", bundle, "cutaway-bench"},
		{"bwrap", "--unshare-all", "--ro-bind", bundle + "/rootfs", "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"},
	}
	crun := []string{"crun", "--root", bundle + "/crun", "run", "-b", bundle, "cutaway-bench"}
	if out, err := exec.Command(crun[0], crun[1:]...).CombinedOutput(); err == nil {
		names, commands = append(names, "crun"), append(commands, crun)
	} else {
		b.Logf("crun runs no container here: %v: %s", err, out) // it refuses cgroups of both versions; BenchmarkOCIRunInGuest has it
	}
	succeed(b, commands)
	m := alternate(b, names, commands)
	for i := range m[1:] {
		b.ReportMetric(float64(m[i+1])/float64(m[0]), names[i+1]+"/cutaway")
	}
}

// benchBundle makes a bundle with nothing but busybox in it, on a tmpfs.
func benchBundle(b *testing.B) string {
	b.Helper()
	bundle, err := os.MkdirTemp("/dev/shm", "cutaway-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(bundle) })
	for _, dir := range []string{"bin", "proc", "sys", "dev"} {
		os.MkdirAll(filepath.Join(bundle, "rootfs", dir), 0o755)
	}
	busybox, err := os.ReadFile(needs.Program(b, "busybox", "busybox-static"))
	if err != nil {
		b.Fatal(err)
	}
	os.WriteFile(bundle+"/rootfs/bin/true", busybox, 0o755)
	spec := oci.Example(false)
	spec.Version, spec.Process.Terminal, spec.Process.Args = "1.0.2", false, []string{"/bin/true"}
	text, _ := json.Marshal(spec)
	os.WriteFile(bundle+"/config.json", text, 0o644)
	return bundle
}
