package labs

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
)

// zeros is how a sector without content is shown.
const zeros = "zeros"

// withSector opens a block device past the page cache (O_DIRECT, open(2)) and hands
// on memory for one sector, aligned as the kernel then wants it. The cache would
// answer for the device, and each device has a cache of its own: what is written
// to the mapped device would not be seen on the disk below.
func withSector(device string, flags int, do func(f *os.File, sector []byte) error) error {
	f, err := os.OpenFile(device, flags|unix.O_DIRECT|unix.O_SYNC, 0)
	if err != nil {
		return err
	}
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return errors.Join(fmt.Errorf("mmap of a page: %w", err), f.Close())
	}
	return errors.Join(do(f, page[:dmthin.SectorSize]), unix.Munmap(page), f.Close())
}

// writeSector puts a text into one sector, filled up with zeros.
func writeSector(device string, number int64, text string) error {
	return withSector(device, os.O_WRONLY, func(f *os.File, sector []byte) error {
		copy(sector, text)
		_, err := f.WriteAt(sector, number*dmthin.SectorSize)
		return err
	})
}

// writeSectorLine does the same by hand. conv=sync fills the sector up.
func writeSectorLine(device string, number int64, text string) string {
	return fmt.Sprintf("printf '%s' | dd of=%s bs=512 seek=%d conv=sync,notrunc oflag=direct status=none", text, device, number)
}

// readSector is the text of one sector.
func readSector(device string, number int64) (text string, err error) {
	err = withSector(device, os.O_RDONLY, func(f *os.File, sector []byte) error {
		_, err := f.ReadAt(sector, number*dmthin.SectorSize)
		text = string(bytes.TrimRight(sector, "\x00"))
		return err
	})
	if err == nil && text == "" {
		text = zeros
	}
	return text, err
}

// sectorFact shows one sector: its text, or the kernel's answer.
func sectorFact(name, device string, number int64) evidence.Fact {
	text, err := readSector(device, number)
	switch {
	case errors.Is(err, os.ErrNotExist):
		text = evidence.Absent
	case err != nil:
		text = answer(err)
	}
	return evidence.F(name, fmt.Sprintf("dd if=%s bs=512 skip=%d count=1 iflag=direct", device, number), text)
}
