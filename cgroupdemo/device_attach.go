package cgroupdemo

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures below are the parts of union bpf_attr (linux/bpf.h) that each
// command reads; the kernel takes the rest as zero.

type progLoadAttr struct {
	progType  uint32
	insnCount uint32
	insns     uint64 // address
	license   uint64 // address
	logLevel  uint32
	logSize   uint32
	logBuf    uint64 // address
}

type progAttachAttr struct {
	targetFD    uint32
	attachFD    uint32
	attachType  uint32
	attachFlags uint32
	replaceFD   uint32
}

type progQueryAttr struct {
	targetFD    uint32
	attachType  uint32
	queryFlags  uint32
	attachFlags uint32
	progIDs     uint64 // address
	progCount   uint32
	_           uint32
}

// LoadDeviceProgram hands a program to the kernel's verifier: bpf(2)
// BPF_PROG_LOAD with type BPF_PROG_TYPE_CGROUP_DEVICE. The file keeps the
// program alive until it is attached. A refusal carries the verifier's words.
func LoadDeviceProgram(prog []Instruction) (*os.File, error) {
	code, license, log := Encode(prog), []byte("Apache-2.0\x00"), make([]byte, 64<<10)
	var pins runtime.Pinner // the kernel gets addresses as plain numbers, which Go must not move
	defer pins.Unpin()
	attr := progLoadAttr{
		progType: unix.BPF_PROG_TYPE_CGROUP_DEVICE, insnCount: uint32(len(prog)),
		insns: address(&pins, &code[0]), license: address(&pins, &license[0]),
		logLevel: 1, logSize: uint32(len(log)), logBuf: address(&pins, &log[0]),
	}
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, fmt.Errorf("bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, %d instructions): %w%s", len(prog), err, verifierWords(log))
	}
	return os.NewFile(uintptr(fd), "bpf device program"), nil
}

func verifierWords(log []byte) string {
	text := unix.ByteSliceToString(log)
	if text == "" {
		return ""
	}
	return "; the verifier says: " + text
}

// AttachDeviceProgram makes the kernel ask the program about every device that
// a process of the group opens or makes: bpf(2) BPF_PROG_ATTACH with
// BPF_F_ALLOW_MULTI, so that programs of ancestors and of others go on being
// asked too (all of them have to say yes). The kernel holds the program until
// it is detached or the group is removed.
func AttachDeviceProgram(group, prog *os.File) error {
	attr := progAttachAttr{targetFD: uint32(group.Fd()), attachFD: uint32(prog.Fd()),
		attachType: unix.BPF_CGROUP_DEVICE, attachFlags: unix.BPF_F_ALLOW_MULTI}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return fmt.Errorf("bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI) to %s: %w", group.Name(), err)
	}
	return nil
}

// DetachDeviceProgram takes the program off the group: bpf(2) BPF_PROG_DETACH.
func DetachDeviceProgram(group, prog *os.File) error {
	attr := progAttachAttr{targetFD: uint32(group.Fd()), attachFD: uint32(prog.Fd()), attachType: unix.BPF_CGROUP_DEVICE}
	if _, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return fmt.Errorf("bpf(BPF_PROG_DETACH, BPF_CGROUP_DEVICE) from %s: %w", group.Name(), err)
	}
	return nil
}

// DevicePrograms lists the ids of the programs attached to the group itself:
// bpf(2) BPF_PROG_QUERY.
func DevicePrograms(group *os.File) ([]uint32, error) {
	ids := make([]uint32, 64) // the kernel's own bound (BPF_CGROUP_MAX_PROGS)
	var pins runtime.Pinner
	defer pins.Unpin()
	attr := progQueryAttr{targetFD: uint32(group.Fd()), attachType: unix.BPF_CGROUP_DEVICE,
		progIDs: address(&pins, &ids[0]), progCount: uint32(len(ids))}
	_, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, fmt.Errorf("bpf(BPF_PROG_QUERY, BPF_CGROUP_DEVICE) of %s: %w", group.Name(), err)
	}
	return ids[:attr.progCount], nil
}

// openDeviceProgram gives a descriptor for a program that somebody else loaded:
// bpf(2) BPF_PROG_GET_FD_BY_ID.
func openDeviceProgram(id uint32) (*os.File, error) {
	attr := struct{ id, nextID, flags uint32 }{id: id}
	fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, fmt.Errorf("bpf(BPF_PROG_GET_FD_BY_ID, %d): %w", id, err)
	}
	return os.NewFile(uintptr(fd), "bpf device program"), nil
}

// ProbeDeviceProgram finds out whether version 2 device rules work here, by
// loading the smallest program, "yes". EINVAL: the kernel lacks CONFIG_CGROUP_BPF;
// EPERM: the caller lacks CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN).
func ProbeDeviceProgram() error {
	prog, err := LoadDeviceProgram(answer(true))
	if err != nil {
		return err
	}
	return prog.Close()
}

func address[T any](pins *runtime.Pinner, p *T) uint64 {
	pins.Pin(p)
	return uint64(uintptr(unsafe.Pointer(p)))
}

// bpf repeats on EAGAIN, which the verifier gives when a signal came in between.
func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	for range 5 {
		fd, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
		if errno == 0 {
			return int(fd), nil
		}
		if !errors.Is(errno, unix.EAGAIN) {
			return -1, errno
		}
	}
	return -1, unix.EAGAIN
}
