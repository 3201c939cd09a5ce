package jsonlog

import (
	"bytes"
	"errors"
	"io"
)

// tailOffset finds where the last n lines begin, reading blocks from the end: a
// log may be much longer than what is wanted of it.
func tailOffset(f io.ReadSeeker, n int) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return end, err
	}
	const block = 32 << 10
	buf := make([]byte, block)
	// The newline of the last line does not begin a further one.
	for at, wanted := end, n+1; at > 0; {
		size := min(int64(block), at)
		at -= size
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(f, buf[:size]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
		for part := buf[:size]; ; {
			i := bytes.LastIndexByte(part, '\n')
			if i < 0 {
				break
			}
			if wanted--; wanted == 0 {
				return at + int64(i) + 1, nil
			}
			part = part[:i]
		}
	}
	return 0, nil
}
