package vm

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Config says what machine to boot.
type Config struct {
	Kernel    Kernel
	Initramfs Initramfs
	MemoryMB  int    // 0 is 1024
	CPUs      int    // 0 is 2
	Accel     string // "kvm", "tcg", or "auto" (also ""): kvm if it proves to work
	ScratchMB int    // size of an empty disk /dev/vda in the guest; 0 is none
	CacheDir  string // where auto remembers whether kvm works; "" is DefaultCacheDir
	// Deadline bounds the time from power-on to the agent's first answer; 0 is 60 s.
	Deadline time.Duration
	// Silence is how long a guest may leave pings unanswered before it counts as
	// hung; 0 is 30 s. Labs that starve the guest of memory make it slow to answer.
	Silence time.Duration
	// Extra is appended to the kernel command line.
	Extra string
	// Spare names a command of this program that is to wait in the guest, started,
	// until it is run without further arguments: see spare.go.
	Spare string
	// Keep resumes the memory of an earlier start with TCG: see keep.go.
	Keep bool

	state string // the file to resume; "" is a start from power-on
}

func (c Config) withDefaults() Config {
	if c.MemoryMB == 0 {
		c.MemoryMB = 1024
	}
	if c.CPUs == 0 {
		c.CPUs = 2
	}
	if c.Accel == "" {
		c.Accel = "auto"
	}
	if c.Deadline == 0 {
		c.Deadline = 60 * time.Second
	}
	if c.Silence == 0 {
		c.Silence = 30 * time.Second
	}
	return c
}

// minMemoryMB is what the kernel, the unpacked initramfs and the agent need.
const minMemoryMB = 256

// Validate finds what QEMU or the guest would stumble over later and less clearly.
func (c Config) Validate() error {
	switch {
	case c.Kernel.boot == "":
		return fmt.Errorf("kernel %q was not prepared: %w", c.Kernel.Name, ErrNoKernel)
	case c.Kernel.Arch != "amd64":
		return fmt.Errorf("kernel %q is for %s, this package boots amd64: %w", c.Kernel.Name, c.Kernel.Arch, ErrImage)
	case c.MemoryMB < minMemoryMB:
		return fmt.Errorf("%d MB of memory: the guest needs at least %d", c.MemoryMB, minMemoryMB)
	case c.CPUs < 1 || c.CPUs > 64:
		return fmt.Errorf("%d processors: want 1 to 64", c.CPUs)
	case c.Accel != "kvm" && c.Accel != "tcg" && c.Accel != "auto":
		return fmt.Errorf("accelerator %q: want auto, kvm or tcg", c.Accel)
	}
	return nil
}

// guestMark on the kernel command line becomes a variable in the environment of
// PID 1, as every unknown name=value without a dot does (kernel-parameters.rst).
const guestMark = "cutaway_guest"

// usrMark is the same for the serial number of the disk that holds /usr.
const usrMark = "cutaway_usr"

// skippedInit are functions that the kernel is not to call as it starts. None takes a
// feature away; a name that a kernel does not have is ignored.
var skippedInit = []string{
	// Waits for a cipher module, so for the whole initramfs, in the middle of the boot.
	"crypto_kdf108_init",
	// Looks up the names of 50 000 functions, so that available_filter_functions of
	// tracefs does not list those few that the linker replaced: 80 million instructions.
	"ftrace_check_for_weak_functions",
	// Puts numbers for names of constants into the texts that describe trace events.
	"trace_eval_init",
}

// commandLine is the kernel's. What each word spares a guest under TCG was measured.
func (c Config) commandLine() string {
	words := []string{
		"console=ttyS0", "quiet", "8250.nr_uarts=1",
		"panic=-1", // on panic reset at once; with -no-reboot QEMU then ends
		"rdinit=/init", guestMark + "=1",
		"cryptomgr.notests", // 0.4 s of self-tests of ciphers that nobody uses
		"mitigations=off",   // the guest runs what its owner could run outside
		"tsc=reliable", "no_timer_check",
		"random.trust_cpu=on", "nokaslr",
		"init_on_alloc=0", // QEMU's memory is zero, and the guest has no secrets of its own
		"initcall_blacklist=" + strings.Join(skippedInit, ","),
	}
	if c.ScratchMB > 0 {
		words = append(words, "cutaway_modules=virtio_blk")
	}
	if c.Initramfs.Disk != "" {
		words = append(words, usrMark+"="+diskSerial)
	}
	if c.Spare != "" {
		words = append(words, spareMark+"="+c.Spare)
	}
	if c.Extra != "" {
		words = append(words, c.Extra)
	}
	return strings.Join(words, " ")
}

// File descriptors that QEMU inherits. None of its files has a name, so none can be
// left behind.
const (
	agentFD   = 3 // its end of the virtio-serial port, a socketpair(2)
	monitorFD = 4 // its end of the monitor, another
	scratchFD = 5 // the scratch disk, a file that was born unnamed (O_TMPFILE)
	stateFD   = 6 // the memory of an earlier guest
)

// arguments is QEMU's command line: a bare PC without disk, network, screen or USB.
func (c Config) arguments(accel string) []string {
	args := []string{
		"-M", "q35,hpet=off,vmport=off", "-accel", accel, "-cpu", cpuModel(accel),
		"-smp", strconv.Itoa(c.CPUs), "-m", strconv.Itoa(c.MemoryMB),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", c.Kernel.boot, "-initrd", c.Initramfs.Path, "-append", c.commandLine(),
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", agentFD),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=" + portName,
	}
	if c.ScratchMB > 0 {
		args = append(args,
			"-drive", fmt.Sprintf("file=/proc/self/fd/%d,if=none,id=scratch,format=raw,cache=unsafe,discard=unmap", scratchFD),
			"-device", "virtio-blk-pci,drive=scratch")
	}
	// After the scratch disk: the kernel names disks in the order of their PCI slots,
	// and scratch is to be /dev/vda.
	if disk := c.Initramfs.Disk; disk != "" {
		args = append(args,
			"-drive", fmt.Sprintf("file=%s,if=none,id=usr,format=raw,readonly=on", strings.ReplaceAll(disk, ",", ",,")),
			"-device", "virtio-blk-pci,drive=usr,serial="+diskSerial)
	}
	if c.state != "" {
		args = append(args, "-incoming", fmt.Sprintf("fd:%d", stateFD))
	}
	return args
}

// portName is how the guest finds its end of the line: /sys/class/virtio-ports/*/name.
const portName = "cutaway.agent"

// cpuModel: "max" makes TCG emulate AVX for every memcpy and cipher test of the
// kernel; Nehalem has what distributions compile for (x86-64-v2) and no more.
func cpuModel(accel string) string {
	if accel == "kvm" {
		return "host,-arch-capabilities"
	}
	return "Nehalem,+rdrand,+rdtscp"
}

// findQEMU looks for the one QEMU that can run our kernels.
func findQEMU() (string, error) {
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return "", fmt.Errorf("%w: PATH=%q", ErrNoQEMU, os.Getenv("PATH"))
	}
	return path, nil
}
