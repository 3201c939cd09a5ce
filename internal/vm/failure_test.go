package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// gone fails the test unless the process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 100 {
		if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("QEMU (pid %d) is still there", pid)
}

// explained fails the test unless err has that cause and says what to do.
func explained(t *testing.T, err, cause error) {
	t.Helper()
	var f *Failure
	if !errors.Is(err, cause) || !errors.As(err, &f) || f.Try == "" {
		t.Errorf("error %v; want %v, with a way out", err, cause)
	}
}

func TestNoQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Boot(context.Background(), Config{Kernel: Kernel{Name: "k", Arch: "amd64", boot: "/k"}})
	explained(t, err, ErrNoQEMU)
}

func TestNoApt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Prepare(context.Background(), t.TempDir(), "debian", nil)
	explained(t, err, exec.ErrNotFound)
}

func TestBadKernelFile(t *testing.T) {
	k, dir := guestKernel(t)
	whole, err := os.ReadFile(k.Image)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), whole...)
	clear(damaged[len(damaged)/2:][:1<<20])
	for name, data := range map[string][]byte{"truncated": whole[:len(whole)/2], "damaged": damaged, "empty": nil} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "vmlinuz")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := PrepareFile(context.Background(), dir, file, "")
			explained(t, err, ErrImage)
		})
	}
}

func TestConfigRefused(t *testing.T) {
	good := Config{Kernel: Kernel{Arch: "amd64", boot: "x"}}.withDefaults()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"wrong architecture": func(c *Config) { c.Kernel.Arch = "arm64" },
		"not prepared":       func(c *Config) { c.Kernel.boot = "" },
		"little memory":      func(c *Config) { c.MemoryMB = 16 },
		"accelerator":        func(c *Config) { c.Accel = "xen" },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLivePanicAtBoot(t *testing.T) {
	cfg := smallGuest(t)
	cfg.Extra = "rdinit=/none"
	m, err := Boot(context.Background(), cfg)
	if m != nil {
		m.Close()
	}
	explained(t, err, ErrPanic)
	if !strings.Contains(fmt.Sprint(err), "Kernel panic - not syncing") {
		t.Errorf("error %v; want the console's report in it", err)
	}
}

// A disk that was cut short in the cache cannot be mounted: the guest says so.
func TestLiveDamagedDisk(t *testing.T) {
	cfg := smallGuest(t)
	cfg.Initramfs.Disk = filepath.Join(t.TempDir(), "cut,short")
	if err := os.WriteFile(cfg.Initramfs.Disk, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Boot(context.Background(), cfg)
	if m != nil {
		m.Close()
	}
	explained(t, err, ErrGone)
	if !strings.Contains(fmt.Sprint(err), "/usr, erofs") {
		t.Errorf("error %v; want the failed mount in it", err)
	}
}

// One guest after another is lost while a command runs in it.
func TestLiveLostGuest(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause error
		lose  func(m *Machine)
	}{
		{"panic", ErrPanic, func(m *Machine) {
			_ = m.Put(context.Background(), "/proc/sysrq-trigger", 0o200, strings.NewReader("c"))
		}},
		{"hang", ErrSilent, func(m *Machine) { _ = unix.Kill(m.qemu.pid, unix.SIGSTOP) }},
		{"killed", ErrGone, func(m *Machine) { _ = unix.Kill(m.qemu.pid, unix.SIGKILL) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := smallGuest(t)
			cfg.Silence = 5 * time.Second
			m, err := Boot(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			lost := make(chan time.Time, 1)
			go func() {
				time.Sleep(100 * time.Millisecond)
				lost <- time.Now()
				c.lose(m)
			}()
			code, err := m.Run(context.Background(), Command{Args: []string{"sleep", "1000"}})
			t.Logf("noticed after %v", time.Since(<-lost))
			explained(t, err, c.cause)
			if code != -1 {
				t.Errorf("exit code %d; want -1", code)
			}
			gone(t, m.qemu.pid)
			if _, err := m.Run(context.Background(), Command{Args: []string{"true"}}); !errors.Is(err, c.cause) {
				t.Errorf("the next Run = %v; want %v", err, c.cause)
			}
		})
	}
}

func TestLiveDeadlineAndCancel(t *testing.T) {
	cfg := smallGuest(t)
	cfg.Deadline = 300 * time.Millisecond
	_, err := Boot(context.Background(), cfg)
	explained(t, err, ErrSilent)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Boot(ctx, smallGuest(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Boot = %v; want context.DeadlineExceeded", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Boot took %v to notice its context", took)
	}
}

// TestLiveKilledParent kills a process that boots a guest: QEMU must go with it.
func TestLiveKilledParent(t *testing.T) {
	smallGuest(t) // so that the helper need not build
	cmd := helper("boot and wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 32)
	n, _ := out.Read(text)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		t.Fatalf("helper printed %q; want QEMU's pid", text[:n])
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	gone(t, pid)
}

func init() {
	helpers["boot and wait"] = func() int {
		dir, _ := DefaultCacheDir()
		k, err := Prepare(context.Background(), dir, "", nil)
		if err != nil {
			return 1
		}
		p, err := startQEMU("qemu-system-x86_64", Config{Kernel: k, Initramfs: Initramfs{Path: k.Config}}.withDefaults(), "tcg")
		if err != nil {
			return 1
		}
		fmt.Println(p.pid)
		select {}
	}
	helpers["disk full"] = diskFull
	helpers["boot as nobody"] = bootAsNobody
}

// TestLiveDiskFull has a cache folder of 8 MB, in a mount namespace of its own.
func TestLiveDiskFull(t *testing.T) {
	needs.Root(t)
	guestKernel(t)
	cmd := helper("disk full")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func diskFull() int {
	dir, _ := DefaultCacheDir()
	k, err := Prepare(context.Background(), dir, "", nil)
	if err == nil {
		err = unix.Mount("none", "/mnt", "tmpfs", 0, "size=8M")
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, built := BuildInitramfs(context.Background(), "/mnt", InitramfsSpec{Kernel: k})
	_, fetched := fetchDebian(context.Background(), "/mnt", offer{Package: "p", Version: "1", Size: 27 << 20}, func(int64, int64, string) {})
	var left []string
	_ = filepath.WalkDir("/mnt", func(path string, d os.DirEntry, _ error) error {
		if d.Type().IsRegular() && d.Name() != ".lock" {
			left = append(left, path)
		}
		return nil
	})
	if !errors.Is(built, unix.ENOSPC) || !errors.Is(fetched, unix.ENOSPC) || !strings.Contains(built.Error(), "XDG_CACHE_HOME") || len(left) > 0 {
		fmt.Printf("BuildInitramfs = %v, fetchDebian = %v, left %q; want ENOSPC twice and nothing left\n", built, fetched, left)
		return 1
	}
	return 0
}

// TestLiveAsNobody builds and boots as an ordinary user who owns nothing but a folder.
func TestLiveAsNobody(t *testing.T) {
	needs.Root(t) // to become another user: the other tests ran as this one
	_, dir := guestKernel(t)
	home, err := os.MkdirTemp("", "cutaway-vm-nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	binary := filepath.Join(home, "test")
	for _, step := range []func() error{
		func() error { return os.MkdirAll(filepath.Join(home, "cutaway"), 0o755) },
		func() error { return copyTree(kernelsDir(dir), kernelsDir(filepath.Join(home, "cutaway"))) },
		func() error { return copyFile("/proc/self/exe", binary) },
		func() error { return chownAll(home, 65534) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary)
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_CACHE_HOME=" + home, "CUTAWAY_VM_HELPER=boot as nobody"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "uid=0(root)") {
		t.Errorf("%v: %s", err, out)
	}
}

func bootAsNobody() int {
	ctx := context.Background()
	dir, err := DefaultCacheDir()
	var k Kernel
	if err == nil {
		k, err = Prepare(ctx, dir, "", nil)
	}
	var fs Initramfs
	if err == nil {
		fs, err = BuildInitramfs(ctx, dir, InitramfsSpec{Kernel: k, Programs: []string{}, Modules: []string{}})
	}
	var m *Machine
	if err == nil {
		m, err = Boot(ctx, Config{Kernel: k, Initramfs: fs})
	}
	var out bytes.Buffer
	if err == nil {
		defer m.Close()
		_, err = m.Run(ctx, Command{Args: []string{"id"}, Stdout: &out})
	}
	fmt.Print(out.String())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func copyTree(from, to string) error { return os.CopyFS(to, os.DirFS(from)) }

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func chownAll(dir string, id int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, id, id))
	})
}
