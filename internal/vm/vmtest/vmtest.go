// Package vmtest runs a test program once more in a virtual machine, where the
// kernel has what this machine's lacks.
//
//	this machine                        the guest
//	TestXInGuest -- Again ----------->  PID 1 is the same program (vm.Main in TestMain)
//	               <- what it prints -   and runs it with -test.run ^TestX$
//
// It is for tests only. The program must be static (CGO_ENABLED=0), or its libraries
// come along.
package vmtest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"cutaway/internal/needs"
	"cutaway/internal/vm"
)

// Guest says what machine a test needs, beside a kernel.
type Guest struct {
	Programs  []string // of this machine, to take along beside vm.DefaultPrograms
	ScratchMB int      // size of its empty disk, /dev/vda
	Format    bool     // make a file system on that disk, for the temporary files
	Env       []string // beside what programs in a guest get; NAME=VALUE
}

// Inside tells whether this program runs in a guest. Tests that overwrite a disk rely
// on it.
func Inside() bool { return vm.InGuest() }

// patience bounds a test that hangs in its guest. A busy machine takes minutes.
const patience = 15 * time.Minute

// onScratch runs its arguments with a file system on the scratch disk. The guest's
// own folders are in memory, and tmpfs keeps no user xattrs.
const onScratch = `mkfs.ext4 -q -E lazy_itable_init=1 /dev/vda && mkdir /scratch && mount /dev/vda /scratch && exec "$@"`

// Again runs this test program in a guest and returns what it prints. That the guest
// cannot be had skips t; that the program fails there fails it.
func Again(t testing.TB, g Guest, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m := boot(ctx, t, g)
	defer m.Close()
	command := append([]string{vm.SelfPath}, args...)
	env := append(vm.GuestEnv("dumb"), g.Env...)
	if g.Format {
		command = append([]string{"sh", "-c", onScratch, "sh"}, command...)
		env = append(env, "TMPDIR=/scratch")
	}
	var out, errs bytes.Buffer // two: they are written at the same time
	code, err := m.Run(ctx, vm.Command{Args: command, Env: env, Stdout: &out, Stderr: &errs})
	if err != nil || code != 0 {
		t.Fatalf("in the guest (Linux %s): exit %d, %v\n%s%s\nits console:\n%s", m.Release, code, err, out.String(), errs.String(), m.Console(20))
	}
	return out.String()
}

// boot starts a machine for this program.
func boot(ctx context.Context, t testing.TB, g Guest) *vm.Machine {
	t.Helper()
	needs.Program(t, "qemu-system-x86_64", "qemu-system-x86")
	cache, err := vm.DefaultCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	k, err := vm.Prepare(ctx, cache, "", nil)
	if err != nil {
		needs.Missing(t, "a kernel for the guest: "+err.Error())
	}
	fs, err := vm.BuildInitramfs(ctx, cache, vm.InitramfsSpec{Kernel: k, Programs: append(g.Programs, vm.DefaultPrograms...)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Boot(ctx, vm.Config{Kernel: k, Initramfs: fs, CacheDir: cache, ScratchMB: g.ScratchMB, Deadline: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
