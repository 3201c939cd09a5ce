package vm

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
)

// arReader walks the members of an ar(5) archive, the outer shell of a .deb file.
// Each member is a 60-byte text header and its bytes, padded to an even length.
type arReader struct {
	r       io.Reader
	body    *io.LimitedReader // the current member; Read from here
	padding int64             // 1 when the current member's length is odd
}

// newArReader checks the magic line of an archive.
func newArReader(r io.Reader) (*arReader, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return nil, fmt.Errorf("ar archive: read magic: %w", noEOF(err))
	}
	if string(magic) != arMagic {
		return nil, fmt.Errorf("ar archive: starts with %q, want %q", magic, arMagic)
	}
	return &arReader{r: r, body: &io.LimitedReader{R: r}}, nil
}

// Next skips what is left of the current member and returns the name of the next
// one, or io.EOF after the last.
func (a *arReader) Next() (name string, err error) {
	skip := a.body.N + a.padding
	if n, err := io.CopyN(io.Discard, a.r, skip); err != nil {
		return "", fmt.Errorf("ar archive: skip %d bytes, got %d: %w", skip, n, noEOF(err))
	}
	header := make([]byte, arHeaderSize)
	switch n, err := io.ReadFull(a.r, header); {
	case n == 0 && errors.Is(err, io.EOF):
		return "", io.EOF
	case err != nil:
		return "", fmt.Errorf("ar archive: read header: %w", noEOF(err))
	}
	name, size, err := parseArHeader(header)
	if err != nil {
		return "", err
	}
	a.body.N, a.padding = size, size%2
	return name, nil
}

// parseArHeader reads one 60-byte member header: name[16] mtime[12] uid[6] gid[6]
// mode[8] size[10] and the two bytes "`\n". Fields are padded with spaces.
func parseArHeader(h []byte) (name string, size int64, err error) {
	if len(h) != arHeaderSize || string(h[58:60]) != "`\n" {
		return "", 0, fmt.Errorf("ar archive: member header %q does not end in \"`\\n\"", h)
	}
	size, err = strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("ar archive: member size %q is not a number", h[48:58])
	}
	// GNU ar ends short names with a slash so that they may contain spaces.
	return strings.TrimSuffix(strings.TrimSpace(string(h[:16])), "/"), size, nil
}

// noEOF turns the end of input in the middle of something into a truncation.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
