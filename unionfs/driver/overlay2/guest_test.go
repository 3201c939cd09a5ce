package overlay2_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"cutaway/internal/vm"
	"cutaway/unionfs/contract"
)

// onScratch runs its arguments with a file system on the guest's disk, for the
// loop devices' files.
const onScratch = `mkfs.ext4 -q -E lazy_itable_init=1 /dev/vda && mkdir /scratch && mount /dev/vda /scratch && exec "$@"`

// TestSizeLimitInGuest runs TestSizeLimit in a virtual machine, whose kernel was
// built with project quota. There nothing may be skipped.
func TestSizeLimitInGuest(t *testing.T) {
	if testing.Short() || os.Getenv("CUTAWAY_VM") != "" {
		t.Skip("this is the guest, or -short")
	}
	_, err := exec.LookPath("qemu-system-x86_64")
	contract.Need(t, err == nil, "QEMU (package qemu-system-x86)")
	cache, err := vm.DefaultCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	k, err := vm.Prepare(ctx, cache, "", nil)
	contract.Need(t, err == nil, fmt.Sprintf("a kernel for the guest: %v", err))
	root, err := vm.BuildInitramfs(ctx, cache, vm.InitramfsSpec{Kernel: k})
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Boot(ctx, vm.Config{Kernel: k, Initramfs: root, CacheDir: cache, ScratchMB: 1024, Deadline: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var out, errs bytes.Buffer
	code, err := m.Run(ctx, vm.Command{Args: []string{"sh", "-c", onScratch, "sh", vm.SelfPath, "-test.v", "-test.run", "^TestSizeLimit$"},
		Stdout: &out, Stderr: &errs, Env: append(vm.GuestEnv("dumb"), "CUTAWAY_REQUIRE=all", "TMPDIR=/scratch")})
	t.Logf("Linux %s:\n%s%s", m.Release, out.String(), errs.String())
	if err != nil || code != 0 {
		t.Errorf("size limits in the guest: exit %d, %v; its console:\n%s", code, err, m.Console(20))
	}
}
