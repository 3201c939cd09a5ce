package script

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Where the parts of the executable lie in its process.
const (
	codeAddress = 0x400000
	headAddress = 0x600000   // the wire's number, then the first calls
	listAddress = 0x10000000 // the shared memory, well above the heap of an executable at 0x400000

	page     = 4096
	fileHead = 64 + 2*56 // Elf64_Ehdr and two Elf64_Phdr, elf(5)

	// listRoom is how far the shared memory may grow. It is only addresses: the
	// kernel takes no argument lists above 6 MiB.
	listRoom = 32 << 20
)

// Image makes the executable (memfd_create(2), F_ADD_SEALS in fcntl(2)): a file
// in memory that nobody can write to any more, and that holds nothing of the
// runtime. wire and list are the numbers that the two descriptors will have.
func Image(wire, list int) (*os.File, error) {
	fd, err := executableMemory("cutaway-init")
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:cutaway-init")
	_, err = unix.Write(fd, image(program(), wire, list))
	if err == nil {
		seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write and seal the init stage in memory: %w", err)
	}
	return f, nil
}

// executableMemory asks for memory that may be executed. Kernels before 6.3
// know no other and refuse the flag.
func executableMemory(name string) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		return unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	return fd, err
}

// image lays the file out: ELF header and code on one page, read and executed;
// on the next, read and written, the first calls, which map the shared memory
// and go on there.
func image(code []byte, wire, list int) []byte {
	first := &Script{}
	first.Call("mmap the script", unix.SYS_MMAP, Int(uint64(listAddress)), Int(listRoom), Int(unix.PROT_READ|unix.PROT_WRITE),
		Int(unix.MAP_SHARED|unix.MAP_FIXED), Int(list), Int(0))
	first.Jump(listAddress)
	calls := first.encode(headAddress + callSize)

	file := make([]byte, page+callSize, page+callSize+len(calls))
	header(file, uint64(fileHead+len(code)), uint64(callSize+len(calls)))
	copy(file[fileHead:], code)
	binary.LittleEndian.PutUint64(file[page:], uint64(wire))
	return append(file, calls...)
}

// header writes Elf64_Ehdr and a Elf64_Phdr for each of the two pages.
func header(file []byte, codeSize, dataSize uint64) {
	le := binary.LittleEndian
	copy(file, "\x7fELF\x02\x01\x01")             // 64 bits, little-endian, version 1
	le.PutUint16(file[16:], 2)                    // ET_EXEC: at fixed addresses
	le.PutUint16(file[18:], machine)              //
	le.PutUint32(file[20:], 1)                    // version
	le.PutUint64(file[24:], codeAddress+fileHead) // entry
	le.PutUint64(file[32:], 64)                   // the program headers follow
	le.PutUint16(file[52:], 64)                   // size of this header
	le.PutUint16(file[54:], 56)                   // of a program header
	le.PutUint16(file[56:], 2)                    // and their number
	segment := func(at int, flags uint32, offset, address, size uint64) {
		le.PutUint32(file[at:], 1) // PT_LOAD
		le.PutUint32(file[at+4:], flags)
		for i, v := range []uint64{offset, address, address, size, size, page} {
			le.PutUint64(file[at+8+8*i:], v)
		}
	}
	const x, w, r = 1, 2, 4
	segment(64, r|x, 0, codeAddress, codeSize)
	segment(64+56, r|w, page, headAddress, dataSize)
}
