package layertar

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// file writes a regular file. O_EXCL and O_NOFOLLOW: the name was just made free,
// so whatever stands there now was put there by somebody else.
func (a *applier) file(dir int, name, base string, hdr *tar.Header, content io.Reader) error {
	fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("openat O_CREAT|O_EXCL|O_NOFOLLOW: %w", err)
	}
	if err := a.fill(fd, content, hdr.Size); err != nil {
		unix.Close(fd)
		return err
	}
	if err := a.fileMeta(fd, name, hdr); err != nil {
		unix.Close(fd)
		return err
	}
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// fill copies the content and leaves holes where whole blocks are zero: tar
// spells zeros out, and a sparse file should not come back from a layer as a
// full one.
func (a *applier) fill(fd int, content io.Reader, size int64) error {
	left, hole := size, false
	for left > 0 {
		chunk := a.buf[:min(int64(len(a.buf)), left)]
		if _, err := io.ReadFull(content, chunk); err != nil {
			return fmt.Errorf("content ends %d bytes early: %w", left, err)
		}
		left -= int64(len(chunk))
		var err error
		if hole, err = writeSparse(fd, chunk); err != nil {
			return err
		}
	}
	if hole { // a hole at the end is only there once the size says so
		if err := unix.Ftruncate(fd, size); err != nil {
			return fmt.Errorf("ftruncate %d: %w", size, err)
		}
	}
	return nil
}

// block is the unit of holes: the page and block size of the file systems used.
const block = 4096

var zeros [block]byte

// writeSparse writes chunk at the file's position, seeking over zero blocks. It
// says whether the last block became a hole.
func writeSparse(fd int, chunk []byte) (hole bool, err error) {
	for len(chunk) > 0 {
		run := dataRun(chunk)
		if run > 0 {
			if err := writeAll(fd, chunk[:run]); err != nil {
				return false, err
			}
			chunk, hole = chunk[run:], false
			continue
		}
		run = zeroRun(chunk)
		if _, err := unix.Seek(fd, int64(run), io.SeekCurrent); err != nil {
			return false, fmt.Errorf("lseek over a hole of %d bytes: %w", run, err)
		}
		chunk, hole = chunk[run:], true
	}
	return hole, nil
}

// dataRun is the length of the leading blocks that hold something. A partial
// block at the end counts as data, for a hole there would save nothing.
func dataRun(b []byte) int {
	n := 0
	for n < len(b) && !isZeroBlock(b[n:]) {
		n += min(block, len(b)-n)
	}
	return n
}

func zeroRun(b []byte) int {
	n := 0
	for n < len(b) && isZeroBlock(b[n:]) {
		n += block
	}
	return n
}

// isZeroBlock looks at one word first: nearly all data is not zero there.
func isZeroBlock(b []byte) bool {
	return len(b) >= block && b[0] == 0 && b[block/2] == 0 && bytes.Equal(b[:block], zeros[:])
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write %d bytes: %w", len(b), err)
		}
		b = b[n:]
	}
	return nil
}
