package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Main takes over when this process is PID 1 of a guest that Boot started, or when
// the guest's kernel calls it as /sbin/modprobe; then it never returns. Anywhere else
// it returns at once. Call it before anything else in main().
func Main() {
	switch {
	case os.Getpid() == 1 && os.Getenv(guestMark) == "1":
		err := runInit()
		// What is printed here is what Boot shows when no agent answers.
		fmt.Fprintln(os.Stderr, "cutaway init:", err)
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
		select {} // PID 1 must not end: the kernel would panic
	case filepath.Base(os.Args[0]) == "modprobe" && InGuest():
		os.Exit(modprobe(os.Args[1:], os.Stderr))
	}
}

// InGuest tells whether this is a guest that Boot started. It asks the kernel command
// line, which programs cannot change.
func InGuest() bool {
	line, _ := os.ReadFile("/proc/cmdline")
	return strings.Contains(string(line), guestMark+"=1")
}

// runInit makes a system out of a kernel and serves the agent until the host hangs
// up. The order matters: the line to the host and the disk with /usr need modules,
// these need /proc for the release's folder, and the rest needs /usr. The spare starts
// beside all this, and may look around when it is done.
func runInit() error {
	if err := mountBasics(); err != nil {
		return err
	}
	a := newAgent()
	if err := a.startSpare(os.Getenv(spareMark)); err != nil {
		return err
	}
	if err := loadAtBoot(os.Getenv("cutaway_modules")); err != nil {
		return err
	}
	if serial := os.Getenv(usrMark); serial != "" {
		if err := mountUsr(serial, "/sys/block", "/dev"); err != nil {
			return err
		}
	}
	if err := errors.Join(setUpRest(), a.spare.wake()); err != nil {
		return err
	}
	port, err := openPort("/sys/class/virtio-ports", "/dev", 5*time.Second)
	if err != nil {
		return err
	}
	go a.children.Reap()
	if err := a.Serve(port); !errors.Is(err, io.EOF) {
		return err
	}
	return nil // the host closed the line: nobody needs this guest any more
}

// openPort finds the virtio-serial port by its name; the driver makes it a moment
// after it is loaded.
func openPort(sys, dev string, patience time.Duration) (*os.File, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(sys, "*/name"))
		for _, file := range names {
			if name, _ := os.ReadFile(file); strings.TrimSpace(string(name)) == portName {
				node := filepath.Join(dev, filepath.Base(filepath.Dir(file)))
				return os.OpenFile(node, os.O_RDWR, 0)
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no virtio-serial port %q within %v: does the kernel have virtio_pci and virtio_console?", portName, patience)
		}
	}
}
