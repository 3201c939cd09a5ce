package vm

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// planned is a plan for a kernel with the given modules and nothing but a shell.
func planned(t *testing.T, modules map[string][]string) *initramfsPlan {
	t.Helper()
	static := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(static, []byte("#!/bin/sh\n# not an ELF file, so it needs no libraries\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	k := Kernel{Name: "k", Release: "6.1-test", Modules: moduleDir(t, modules)}
	p, err := planInitramfs(InitramfsSpec{Kernel: k, Binary: static, Programs: []string{}, Modules: []string{"fuse"}}, hostUserland())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// archived lists what the initramfs of a plan holds.
func archived(t *testing.T, p *initramfsPlan) map[string]string {
	t.Helper()
	var out bytes.Buffer
	if err := p.archive(&out); err != nil {
		t.Fatal(err)
	}
	return readCpio(t, out.Bytes())
}

// With a disk the initramfs holds this program and what mounts the disk.
func TestUsrOnDisk(t *testing.T) {
	p := planned(t, map[string][]string{"virtio_pci": nil, "virtio_console": nil, "virtio_blk": nil, "erofs": {"depends=libcrc32c"}, "libcrc32c": nil, "fuse": nil})
	var modules []string
	boot := archived(t, p)
	for name := range boot {
		if base, ok := strings.CutSuffix(filepath.Base(name), ".ko"); ok {
			modules = append(modules, base)
		}
	}
	slices.Sort(modules)
	if diff := cmp.Diff([]string{"erofs", "libcrc32c", "virtio_blk", "virtio_console", "virtio_pci"}, modules); diff != "" {
		t.Error(diff)
	}
	if boot["usr/bin/sh"] != "" || boot[guestBinary] == "" {
		t.Errorf("the initramfs holds sh: %q, %s: %.10q; want only the latter", boot["usr/bin/sh"], guestBinary, boot[guestBinary])
	}
}

// A kernel that cannot mount the disk gets everything in its initramfs.
func TestNoDiskWithoutErofs(t *testing.T) {
	p := planned(t, map[string][]string{"virtio_pci": nil, "virtio_console": nil, "virtio_blk": nil, "fuse": nil})
	boot := archived(t, p)
	if p.onDisk || boot["usr/bin/sh"] == "" || boot["usr/lib/modules/6.1-test/kernel/fuse.ko"] == "" {
		t.Errorf("onDisk %v, sh %q; want a shell and modules in the initramfs", p.onDisk, boot["usr/bin/sh"])
	}
}

// The disk does not hold this program: a new build of it needs no new disk.
func TestDiskOutlivesBuilds(t *testing.T) {
	p := planned(t, map[string][]string{"virtio_pci": nil, "virtio_blk": nil, "erofs": nil})
	disk, boot := keyOf(p.usrIdentity), keyOf(p.identity, p.usrIdentity)
	if err := os.WriteFile(p.binary, []byte("another build"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.usrIdentity, p.identity = nil, nil
	if err := p.identify(InitramfsSpec{Kernel: Kernel{Name: "k", Release: "6.1-test"}}); err != nil {
		t.Fatal(err)
	}
	if keyOf(p.usrIdentity) != disk || keyOf(p.identity, p.usrIdentity) == boot {
		t.Errorf("a new build changes the disk %v, the initramfs %v; want false, true",
			keyOf(p.usrIdentity) != disk, keyOf(p.identity, p.usrIdentity) != boot)
	}
}

func TestDropOld(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a.erofs", "b.erofs", "c.erofs", "d.cpio", ".lock"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Unix(int64(i+1), 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := dropOld(dir, ".erofs", 2); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"b.erofs", "c.erofs", "d.cpio"}, left); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkLiveBoot measures what somebody waits for: power-on to the agent's answer,
// then to the end of a first program, and to QEMU's end.
func BenchmarkLiveBoot(b *testing.B) {
	k, dir := guestKernel(b)
	fs, err := BuildInitramfs(context.Background(), dir, InitramfsSpec{Kernel: k})
	if err != nil {
		b.Fatal(err)
	}
	var boot, first, total time.Duration
	for b.Loop() {
		start := time.Now()
		m, err := Boot(context.Background(), Config{Kernel: k, Initramfs: fs, CacheDir: dir, Accel: "tcg"})
		if err != nil {
			b.Fatal(err)
		}
		boot += m.BootTime
		if _, err := m.Run(context.Background(), Command{Args: []string{"true"}}); err != nil {
			b.Fatal(err)
		}
		first += time.Since(start)
		m.Close()
		total += time.Since(start)
	}
	for name, sum := range map[string]time.Duration{"s-boot": boot, "s-first-program": first, "s-total": total} {
		b.ReportMetric(sum.Seconds()/float64(b.N), name)
	}
}
