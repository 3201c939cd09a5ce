package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cutaway/internal/needs"
)

// TestMain makes the test binary what cutaway is: PID 1 of guests, and the helpers
// that some tests start as another user or in another mount namespace.
func TestMain(m *testing.M) {
	Main()
	if len(os.Args) == 2 && os.Args[1] == spareCommand {
		os.Exit(waitInGuest())
	}
	if name := os.Getenv("CUTAWAY_VM_HELPER"); name != "" {
		os.Exit(helpers[name]())
	}
	code := m.Run()
	if shared.machine != nil {
		shared.machine.Close()
	}
	if left := leftovers(); code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "left behind:", left)
		code = 1
	}
	os.Exit(code)
}

// helpers run in child processes of the tests; 0 is success.
var helpers = map[string]func() int{}

// helper starts this binary as the named helper.
func helper(name string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, "CUTAWAY_VM_HELPER="+name)...)
	return cmd
}

// leftovers lists QEMU processes that are our children or were (a test that fails to
// end one finds it here).
func leftovers() (left []string) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range tasks {
		if pids, _ := os.ReadFile(file); len(pids) > 0 {
			left = append(left, "process "+string(pids))
		}
	}
	return left
}

// guestKernel gets a kernel to boot, with one download per cache.
func guestKernel(t testing.TB) (Kernel, string) {
	t.Helper()
	if _, err := findQEMU(); err != nil {
		needs.Missing(t, err.Error()+" (package qemu-system-x86)")
	}
	dir, err := DefaultCacheDir()
	if err != nil {
		needs.Missing(t, "a folder for kernels: "+err.Error())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	k, err := Prepare(ctx, dir, "", nil)
	if err != nil {
		needs.Missing(t, "a kernel for the guest: "+err.Error())
	}
	return k, dir
}

// smallGuest builds an initramfs with nothing but the test binary and a shell.
func smallGuest(t testing.TB) Config {
	t.Helper()
	k, dir := guestKernel(t)
	fs, err := BuildInitramfs(context.Background(), dir, InitramfsSpec{Kernel: k, Programs: []string{}, Modules: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Kernel: k, Initramfs: fs, CacheDir: dir, Accel: "tcg", CPUs: 1}
}

// shared is the one guest of all tests that do not break theirs.
var shared struct {
	once    sync.Once
	machine *Machine
	err     error
}

func sharedGuest(t testing.TB) *Machine {
	t.Helper()
	k, dir := guestKernel(t)
	shared.once.Do(func() {
		fs, err := BuildInitramfs(context.Background(), dir, InitramfsSpec{Kernel: k})
		if err != nil {
			shared.err = err
			return
		}
		shared.machine, shared.err = Boot(context.Background(), Config{Kernel: k, Initramfs: fs, CacheDir: dir, Accel: "tcg", ScratchMB: 64})
		if shared.err == nil {
			t.Logf("initramfs %.1f MB, disk %.1f MB, missing %v %v; boot %v, of that the kernel %v", float64(fs.Bytes)/(1<<20), float64(fs.DiskBytes)/(1<<20),
				fs.MissingPrograms, fs.MissingModules, shared.machine.BootTime, shared.machine.KernelTime)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.machine
}

// within is a context for one command in a guest.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
