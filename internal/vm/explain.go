package vm

import (
	"context"
	"errors"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// The ways in which a guest can be lost. Test for them with errors.Is.
var (
	ErrImage    = errors.New("not a bootable kernel")
	ErrNoQEMU   = errors.New("QEMU is not installed")
	ErrPanic    = errors.New("the guest's kernel panicked")
	ErrSilent   = errors.New("the guest does not answer")
	ErrGone     = errors.New("QEMU has ended")
	ErrClosed   = errors.New("the machine was closed")
	ErrDamaged  = errors.New("the package file is damaged")
	ErrNoKernel = errors.New("no such kernel")
)

// Failure says what failed, why that is likely, and what to do.
type Failure struct {
	What    string // "boot linux-image-6.1.0-56-cloud-amd64"
	Err     error
	Why     string
	Try     string
	Console string // the last lines of the guest's console, if they matter
}

// Error renders the parts, each on its own line.
func (f *Failure) Error() string {
	s := f.What + ": " + f.Err.Error()
	for _, part := range []struct{ label, text string }{{"likely", f.Why}, {"try", f.Try}} {
		if part.text != "" {
			s += "\n  " + part.label + ": " + part.text
		}
	}
	if f.Console != "" {
		s += "\n  console: " + strings.ReplaceAll(f.Console, "\n", "\n           ")
	}
	return s
}

// Unwrap lets errors.Is find the cause.
func (f *Failure) Unwrap() error { return f.Err }

// reason pairs a cause with its likely explanation.
type reason struct {
	err      error
	why, try string
}

// reasons is looked through from the top; the first cause that matches explains.
var reasons = []reason{
	{context.Canceled, "", ""},
	{ErrNoQEMU, "the program qemu-system-x86_64 is in no folder of PATH",
		"apt-get install qemu-system-x86 (Debian), dnf install qemu-system-x86-core (Fedora); or run the labs on this host"},
	{ErrPanic, "the kernel met a state that it cannot go on from; the console below names it",
		"give the guest more memory (--memory), or another kernel (cutaway vm kernels)"},
	{ErrImage, "the file is damaged, of another architecture, or no kernel at all",
		"copy the kernel again, or take another one (cutaway vm kernels)"},
	{ErrDamaged, "the download was cut short or changed on its way; it was removed",
		"cutaway vm prepare again"},
	{ErrSilent, "the kernel hangs, lacks virtio-serial (CONFIG_VIRTIO_CONSOLE), or this machine is very busy",
		"again with --accel tcg, more memory (--memory) or another kernel (cutaway vm kernels)"},
	{ErrGone, "something killed QEMU, often the kernel when memory ran out (dmesg | grep -i oom)",
		"give the guest less memory (--memory), or free some on this machine"},
	{unix.ENOSPC, "the disk of the cache folder is full: a prepared kernel takes 170 MB, an initramfs 30 MB",
		"free some space, or set XDG_CACHE_HOME to a folder on another disk"},
	{unix.EDQUOT, "the disk quota of this user is used up", "free some space, or set XDG_CACHE_HOME"},
	{unix.EACCES, "this user may not write there", "set XDG_CACHE_HOME to a folder of your own"},
	{unix.EROFS, "the cache folder is on a read-only file system", "set XDG_CACHE_HOME to a folder of your own"},
	{exec.ErrNotFound, "this system has no apt, so Debian's kernel cannot be fetched with it",
		"use a kernel that you have: --kernel FILE --modules DIR, or the host's (cutaway vm kernels)"},
}

// explain adds the likely cause and the way out to an error. It leaves nil and what
// is already explained alone.
func explain(what string, err error) error {
	var done *Failure
	if err == nil || errors.As(err, &done) {
		return err
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return &Failure{What: what, Err: err, Why: r.why, Try: r.try}
		}
	}
	return &Failure{What: what, Err: err}
}
