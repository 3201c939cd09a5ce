package vm

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// bzImage is what the header of a Linux/x86 boot image says: a small real-mode part,
// then a decompressor with the kernel proper (an ELF file) packed inside it.
// Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
type bzImage struct {
	Release       string // "6.1.0-56-cloud-amd64"
	Payload       []byte // the packed ELF file
	unpackedBytes int    // its size, which the linker appends to the payload
}

// Offsets of the boot protocol's header fields.
const (
	bootSetupSects    = 0x1f1 // 512-byte sectors of real-mode code, less the first
	bootSyssize       = 0x1f4 // size of the rest in 16-byte units
	bootMagic         = 0x202 // "HdrS"
	bootVersion       = 0x206
	bootKernelVersion = 0x20e // where the release string is, less 0x200
	bootXloadflags    = 0x236
	bootPayloadOffset = 0x248
	bootPayloadLength = 0x24c
	bootHeaderEnd     = 0x250
	xlfKernel64       = 1 // XLF_KERNEL_64: has a 64-bit entry point
)

// parseBzImage checks that data is a whole 64-bit x86 boot image. QEMU itself boots
// a truncated one, and the guest then hangs without a word; so it is found here.
func parseBzImage(data []byte) (bzImage, error) {
	le := binary.LittleEndian
	if len(data) < bootHeaderEnd || string(data[bootMagic:bootMagic+4]) != "HdrS" {
		return bzImage{}, fmt.Errorf("%s, not a Linux/x86 boot image (no \"HdrS\" at byte %#x): %w", describe(data), bootMagic, ErrImage)
	}
	if v := le.Uint16(data[bootVersion:]); v < 0x20c || le.Uint16(data[bootXloadflags:])&xlfKernel64 == 0 {
		return bzImage{}, fmt.Errorf("boot protocol %d.%d without a 64-bit entry, a kernel for another architecture: %w", v>>8, v&255, ErrImage)
	}
	setup := (int(data[bootSetupSects]) + 1) * 512
	whole := setup + int(le.Uint32(data[bootSyssize:]))*16
	if len(data) < whole {
		return bzImage{}, fmt.Errorf("%d bytes, its header promises %d: the file is truncated: %w", len(data), whole, ErrImage)
	}
	from := setup + int(le.Uint32(data[bootPayloadOffset:]))
	to := from + int(le.Uint32(data[bootPayloadLength:]))
	if from > to-4 || to > len(data) {
		return bzImage{}, fmt.Errorf("payload at bytes %d to %d of %d: the header is damaged: %w", from, to, len(data), ErrImage)
	}
	return bzImage{
		Release:       bootRelease(data, int(le.Uint16(data[bootKernelVersion:]))+0x200),
		Payload:       data[from : to-4],
		unpackedBytes: int(le.Uint32(data[to-4:])),
	}, nil
}

// bootRelease reads "6.1.0-56-cloud-amd64 (debian-kernel@...) #1 SMP ..." up to the blank.
func bootRelease(data []byte, at int) string {
	if at >= len(data) {
		return ""
	}
	text, _, _ := bytes.Cut(data[at:min(len(data), at+256)], []byte{0})
	release, _, _ := strings.Cut(string(text), " ")
	return release
}

// maxKernelBytes bounds what a damaged length field can make us allocate.
const maxKernelBytes = 512 << 20

// ELF unpacks the kernel proper. ok is false when its compression is one that we
// cannot undo; then the whole image is booted, which costs a second under TCG.
func (b bzImage) ELF() (vmlinux []byte, ok bool, err error) {
	if b.unpackedBytes <= 0 || b.unpackedBytes > maxKernelBytes {
		return nil, false, fmt.Errorf("unpacked size %d: the header is damaged: %w", b.unpackedBytes, ErrImage)
	}
	open := payloadReader(b.Payload)
	if open == nil {
		return nil, false, nil
	}
	r, err := open(bytes.NewReader(b.Payload))
	if err == nil {
		vmlinux = make([]byte, b.unpackedBytes)
		_, err = io.ReadFull(r, vmlinux)
	}
	if err != nil {
		return nil, false, fmt.Errorf("unpack the kernel: %w: the file is damaged: %w", noEOF(err), ErrImage)
	}
	return vmlinux, true, nil
}

// payloadReader picks the decompressor by the magic bytes of the payload.
func payloadReader(payload []byte) func(io.Reader) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(payload, []byte{0x02, 0x21, 0x4c, 0x18}):
		return func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }
	case bytes.HasPrefix(payload, []byte{0x1f, 0x8b}):
		return func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ")):
		return func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }
	case bytes.HasPrefix(payload, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return newZstdReader
	}
	return nil
}

// xenPhys32Entry is the ELF note that says where PVH enters the kernel.
const xenPhys32Entry = 18

// hasPVH tells whether QEMU can start this ELF kernel directly (CONFIG_PVH).
func hasPVH(vmlinux []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(vmlinux))
	if err != nil || f.Machine != elf.EM_X86_64 {
		return false
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		notes, err := io.ReadAll(p.Open())
		if err == nil && findNote(notes, "Xen", xenPhys32Entry) {
			return true
		}
	}
	return false
}

// findNote walks ELF notes: name length, content length, type, name, content; each
// padded to 4 bytes.
func findNote(notes []byte, owner string, kind uint32) bool {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		name, content := int64(le.Uint32(notes)), int64(le.Uint32(notes[4:]))
		next := 12 + (name+3)&^3 + (content+3)&^3
		if next > int64(len(notes)) {
			return false
		}
		if le.Uint32(notes[8:]) == kind && strings.TrimRight(string(notes[12:12+name]), "\x00") == owner {
			return true
		}
		notes = notes[next:]
	}
	return false
}

// describe names the kinds of file that are given for a kernel by mistake.
func describe(data []byte) string {
	switch {
	case len(data) == 0:
		return "an empty file"
	case bytes.HasPrefix(data, []byte("\x7fELF")):
		if f, err := elf.NewFile(bytes.NewReader(data)); err == nil {
			return "an ELF file for " + strings.TrimPrefix(f.Machine.String(), "EM_")
		}
		return "a damaged ELF file"
	case len(data) > 0x3c && string(data[0x38:0x3c]) == "ARM\x64":
		return "a kernel for arm64"
	case bytes.HasPrefix(data, []byte("!<arch>\n")):
		return "an ar archive (a .deb package?)"
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return "a gzip file"
	}
	return fmt.Sprintf("a file of %d bytes that begins with %q", len(data), data[:min(8, len(data))])
}
