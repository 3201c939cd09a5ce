package image_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cutaway/internal/needs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/image"
)

// BenchmarkUnpack unpacks one gzip layer with this store, with tar and with
// umoci, in turn, and reports the medians as ratios: 1.5 x-umoci says that umoci
// took 1.5 times as long as we did. The layer is a part of this machine's /usr,
// or the folder that CUTAWAY_BENCH_TREE names.
//
// What each does: we verify the diff id, keep the tar's skeleton for a byte-exact
// export, and unpack into the driver; umoci verifies too and writes an mtree
// list; tar only unpacks.
func BenchmarkUnpack(b *testing.B) {
	for _, p := range []string{"umoci", "tar"} {
		_, err := exec.LookPath(p)
		needs.That(b, err == nil, p)
	}
	source := os.Getenv("CUTAWAY_BENCH_TREE")
	if source == "" {
		source = "/usr/share/doc"
	}
	layer, layout := benchLayer(b, source)
	var us, tar, umoci []time.Duration
	for b.Loop() {
		us = append(us, timed(func() { register(b, layer) }))
		tar = append(tar, timed(func() { runIn(b, "tar", "-xzf", layer, "-C") }))
		umoci = append(umoci, timed(func() { runIn(b, "umoci", "unpack", "--image", layout+":bench") }))
	}
	b.ReportMetric(ratio(umoci, us), "x-umoci")
	b.ReportMetric(ratio(tar, us), "x-tar")
	b.ReportMetric(median(us).Seconds()*1000, "ms/unpack")
}

// benchLayer packs the tree as a gzip layer, and as an OCI layout with it.
func benchLayer(b *testing.B, source string) (layer, layout string) {
	b.Helper()
	dir := contract.TempDir(b)
	layer, layout = filepath.Join(dir, "layer.tar.gz"), filepath.Join(dir, "layout")
	contract.Command(b, "tar", "-C", source, "-czf", layer, ".")
	contract.Command(b, "umoci", "init", "--layout", layout)
	contract.Command(b, "umoci", "new", "--image", layout+":bench")
	contract.Command(b, "umoci", "raw", "add-layer", "--image", layout+":bench", layerPlain(b, dir, layer))
	return layer, layout
}

// layerPlain is the layer without gzip: umoci compresses it again by itself.
func layerPlain(b *testing.B, dir, layer string) string {
	b.Helper()
	plain := filepath.Join(dir, "layer.tar")
	out, err := exec.Command("gzip", "-dc", layer).Output()
	if err := errors.Join(err, os.WriteFile(plain, out, 0o600)); err != nil {
		b.Fatal(err)
	}
	return plain
}

func register(b *testing.B, layer string) {
	b.Helper()
	s := newStore(b)
	f := must2(os.Open(layer))(b)
	defer f.Close()
	must2(s.Register(f, image.RegisterOptions{}))(b)
}

// runIn runs a program with a fresh folder as its last argument.
func runIn(b *testing.B, args ...string) {
	b.Helper()
	dir := filepath.Join(contract.TempDir(b), "to")
	if args[0] == "tar" {
		os.Mkdir(dir, 0o755)
	}
	var out bytes.Buffer
	cmd := exec.Command(args[0], append(args[1:], dir)...)
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		b.Fatalf("%q: %v: %s", args, err, out.String())
	}
}

func timed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

func median(d []time.Duration) time.Duration {
	s := slices.Clone(d)
	slices.Sort(s)
	return s[len(s)/2]
}

func ratio(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }
