package probe

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bpfAttr is the part of union bpf_attr that BPF_PROG_LOAD reads.
type bpfAttr struct {
	progType, insnCount uint32
	insns, license      uint64
	logLevel, logSize   uint32
	logBuf              uint64
	kernVersion, flags  uint32
}

// bpfAttach is the part that BPF_PROG_ATTACH and DETACH read.
type bpfAttach struct{ target, prog, kind, flags uint32 }

// deviceProgram loads the program "r0 = 1; exit", which allows every device,
// and attaches it to an empty cgroup: the v2 way to a device list.
func deviceProgram(*stage, string) Finding {
	program := &[2]uint64{0x1_0000_00b7, 0x95} // mov r0, 1; exit
	license := &[4]byte{'G', 'P', 'L'}
	// The addresses travel as numbers: pinned, so that they stay true.
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(program)
	pin.Pin(license)
	a := bpfAttr{
		progType: unix.BPF_PROG_TYPE_CGROUP_DEVICE, insnCount: 2,
		insns: uint64(uintptr(unsafe.Pointer(program))), license: uint64(uintptr(unsafe.Pointer(license))),
	}
	fd, _, e := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))
	f := asked("bpf(BPF_PROG_LOAD, CGROUP_DEVICE)", errno(e), absentEINVAL)
	if e != 0 {
		return f
	}
	defer unix.Close(int(fd))
	return f.then(func() Finding {
		return inTempCgroup("", func(dir string) Finding { return attachProgram(dir, uint32(fd)) })
	})
}

// attachProgram attaches a device program to a cgroup; it goes with the cgroup.
func attachProgram(dir string, prog uint32) Finding {
	cgroup, err := os.Open(dir)
	if err != nil {
		return asked("open("+dir+")", err, verdict{})
	}
	defer cgroup.Close()
	a := bpfAttach{target: uint32(cgroup.Fd()), prog: prog, kind: unix.BPF_CGROUP_DEVICE}
	_, _, e := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_ATTACH, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))
	if e == 0 {
		_, _, _ = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_DETACH, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))
	}
	return asked("bpf(BPF_PROG_ATTACH) to an empty cgroup", errno(e), absentEINVAL)
}
