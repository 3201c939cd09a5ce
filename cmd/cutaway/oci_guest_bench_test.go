package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cutaway/internal/needs"
	"cutaway/internal/vm"
)

// inTurn runs a container of each runtime in a guest, ten at a time and by turns,
// and prints the hundredths of a second that each ten took. The clock of the guest
// is all that is asked: nothing is started to read it.
const inTurn = `set -e
mkdir -p /bundle && mount -t tmpfs bundle /bundle && cd /bundle && mkdir -p rootfs/bin rootfs/proc rootfs/sys rootfs/dev
cp "$(readlink -f "$(command -v busybox)")" rootfs/bin/true
cutaway oci spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"\/bin\/true"/; s/"ociVersion": "[^"]*"/"ociVersion": "1.0.2"/' config.json
now() { read up rest < /proc/uptime; echo "${up%.*}${up#*.}"; }
for round in 1 2 3 4 5 6; do
	for name in cutaway runc crun; do
		case $name in cutaway) runtime="cutaway oci";; *) runtime=$name;; esac
		began=$(now)
		for n in 1 2 3 4 5 6 7 8 9 10; do $runtime --root /bundle/$name run -b /bundle $name-$n; done
		echo "$name $(($(now) - began))"
	done
done`

// BenchmarkOCIRunInGuest is BenchmarkOCIRun on a kernel with control groups of
// version 2 alone, where crun runs too. The guest's processor is emulated: only the
// ratios say something.
func BenchmarkOCIRunInGuest(b *testing.B) {
	needs.Program(b, "qemu-system-x86_64", "qemu-system-x86")
	needs.Program(b, "runc", "runc")
	needs.Program(b, "crun", "crun")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	out := inGuest(ctx, b, []string{"runc", "crun"}, inTurn)
	times := map[string][]int{}
	for line := range strings.Lines(out) {
		var name string
		var hundredths int
		if n, _ := fmt.Sscan(line, &name, &hundredths); n == 2 {
			times[name] = append(times[name], hundredths)
		}
	}
	median := func(name string) float64 {
		all := times[name]
		if len(all) < 3 {
			b.Fatalf("%s ran %d times:\n%s", name, len(all), out)
		}
		slices.Sort(all)
		return float64(all[len(all)/2])
	}
	for _, name := range []string{"cutaway", "runc", "crun"} {
		b.ReportMetric(median(name), name+"-ms") // so many hundredths for ten are as many ms for one
		if name != "cutaway" {
			b.ReportMetric(median(name)/median("cutaway"), name+"/cutaway")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// inGuest runs a shell script in a guest that has the built program and others.
func inGuest(ctx context.Context, b *testing.B, programs []string, script string) string {
	b.Helper()
	cache := b.TempDir()
	if kept, err := vm.DefaultCacheDir(); err == nil {
		cache = kept
	}
	k, err := vm.Prepare(ctx, cache, "", nil)
	if err != nil {
		needs.Missing(b, "a kernel for the guest: "+err.Error())
	}
	fs, err := vm.BuildInitramfs(ctx, cache, vm.InitramfsSpec{Kernel: k, Binary: builtProgram(b), Programs: append(programs, vm.DefaultPrograms...)})
	if err != nil {
		b.Fatal(err)
	}
	m, err := vm.Boot(ctx, vm.Config{Kernel: k, Initramfs: fs, CacheDir: cache, Deadline: 5 * time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	var out, errs bytes.Buffer
	code, err := m.Run(ctx, vm.Command{Args: []string{"sh", "-c", script}, Env: vm.GuestEnv("dumb"), Stdout: &out, Stderr: &errs})
	if err != nil || code != 0 {
		b.Fatalf("in the guest: exit %d, %v\n%s%s", code, err, out.String(), errs.String())
	}
	return out.String()
}
