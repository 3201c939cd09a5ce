package volumedemo

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Backup writes a volume's content as a tar archive. No container needs to be
// stopped for it, but one that writes meanwhile can end up half in it.
func (s *Store) Backup(name string, w io.Writer) error {
	return s.withData(name, func(root *os.Root) error { return Pack(root, w) })
}

// Restore gives a volume the content of an archive, and nothing else. It happens
// in the volume's own folder, so that containers on it see it. The archive is
// read to its end before anything is removed: half an archive destroys nothing.
func (s *Store) Restore(name string, archive io.ReadSeeker) error {
	if err := readThrough(archive); err != nil {
		return fmt.Errorf("the archive is not whole, and volume %s is left as it was: %w", name, err)
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return s.withData(name, func(root *os.Root) error {
		return errors.Join(Clear(root), Unpack(root, archive))
	})
}

// readThrough reads an archive to its end, which is a block of zeros: without it
// the archive was cut off between two files.
func readThrough(r io.Reader) error {
	c := &counter{r: r}
	in := tar.NewReader(c)
	for n := 0; ; n++ {
		content := (c.n + 511) / 512 * 512 // where the next header must begin
		_, err := in.Next()
		switch {
		case err == io.EOF && (c.n <= content || c.zeros < 512):
			return io.ErrUnexpectedEOF
		case err == io.EOF && n == 0:
			return errors.New("there is nothing in it")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			return err
		}
	}
}

// counter counts what was read. It hides that the reader could seek: bytes that
// are skipped would not be counted.
type counter struct {
	r     io.Reader
	n     int64
	zeros int // how many of the last bytes were zero
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if tail := n - len(bytes.TrimRight(b[:n], "\x00")); tail == n {
		c.zeros += n
	} else {
		c.zeros = tail
	}
	return n, err
}

// withData opens a volume's content while nobody can remove the volume.
func (s *Store) withData(name string, do func(*os.Root) error) error {
	release, err := s.Hold()
	if err != nil {
		return err
	}
	defer release()
	if _, err := s.Inspect(name); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.Data(name))
	if err != nil {
		return err
	}
	return errors.Join(do(root), root.Close())
}

// Clear removes all that is in a folder, and leaves the folder: it may be the
// source of mounts.
func Clear(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, root.RemoveAll(e.Name()))
	}
	return err
}
