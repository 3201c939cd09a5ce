package vm

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// unpackDeb copies the files that a kernel needs out of a Debian package: a .deb is
// an ar archive whose member data.tar.* holds the files (deb(5)). Place maps a
// path in the package to one below dir, or to "" for what is not wanted.
func unpackDeb(r io.Reader, dir string, place func(name string) string) error {
	members, err := newArReader(r)
	if err != nil {
		return err
	}
	for {
		name, err := members.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("deb package: holds no data.tar member")
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, "data.tar") {
			return unpackData(name, members.body, dir, place)
		}
	}
}

func unpackData(name string, packed io.Reader, dir string, place func(string) string) error {
	plain, err := unpacker(path.Ext(name), packed)
	if err != nil {
		return fmt.Errorf("deb package: %s: %w", name, err)
	}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			// To the very end: the checksum of the compressed stream is there.
			if _, err := io.Copy(io.Discard, plain); err != nil {
				return fmt.Errorf("deb package: %s: %w", name, noEOF(err))
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("deb package: %s: %w", name, noEOF(err))
		}
		to := place(strings.TrimPrefix(path.Clean("/"+h.Name), "/"))
		if to == "" || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(filepath.Join(dir, to), files); err != nil {
			return fmt.Errorf("deb package: %s: %s: %w", name, h.Name, err)
		}
	}
}

// unpacker undoes the compression that a file name ending stands for. The buffer
// matters: the xz reader asks for single bytes, which from a bare file are system
// calls (20 s instead of 3 for a kernel).
func unpacker(ending string, r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	switch ending {
	case ".xz":
		return xz.NewReader(buffered)
	case ".gz":
		return gzip.NewReader(buffered)
	case ".zst":
		return newZstdReader(buffered)
	case ".tar", ".ko", "":
		return buffered, nil
	}
	return nil, fmt.Errorf("compression %q is not known here (xz, gz, zst are)", ending)
}

// writeFile makes a file and the folders above it. Close reports what a full disk
// refused late.
func writeFile(name string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
