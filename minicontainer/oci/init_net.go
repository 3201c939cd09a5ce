package oci

import (
	"fmt"
	"strings"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// raiseLoopback brings lo up in a network namespace of its own, where it is
// born down (ioctl SIOCSIFFLAGS, netdevice(7)).
func (b *box) raiseLoopback() error {
	if !newNamespace(b.spec, specs.NetworkNamespace) {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(request))); errno != 0 {
		return fmt.Errorf("ioctl SIOCSIFFLAGS lo up: %w", errno)
	}
	return nil
}

// sysctlPath turns net.ipv4.ip_forward into a path below /proc. Where a name
// itself has a dot, an interface called eth0.1, slashes may separate instead.
func sysctlPath(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '/' {
		return "sys/" + key
	}
	return "sys/" + strings.ReplaceAll(key, ".", "/")
}
