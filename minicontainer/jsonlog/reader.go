package jsonlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Options choose lines.
type Options struct {
	Since, Until time.Time // zero is no bound
	Tail         int       // the last n lines; negative is all
	// Follow, if not nil, is asked at the end of the file whether more will come.
	Follow func() bool
}

// Read gives the chosen lines to each, oldest first. A log that does not exist
// is empty.
func Read(path string, o Options, each func(Entry) error) error {
	r := &reader{path: path, options: o, each: each}
	defer r.close()
	for _, old := range r.olderFiles() {
		if err := r.readWhole(old); err != nil {
			return err
		}
	}
	if err := r.openCurrent(); err != nil || r.file == nil {
		return err
	}
	return r.readOn()
}

// errEnough ends the reading early.
var errEnough = errors.New("enough")

type reader struct {
	path    string
	options Options
	each    func(Entry) error

	file    *os.File
	lines   *bufio.Reader
	partial []byte // a line whose end has not been written yet
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// olderFiles are those that were rotated away, oldest first, if they can matter.
func (r *reader) olderFiles() []string {
	if r.options.Tail >= 0 { // found from the end, in the current file
		return nil
	}
	var files []string
	for i := 1; ; i++ {
		if _, err := os.Lstat(older(r.path, i)); err != nil {
			return files
		}
		files = append([]string{older(r.path, i)}, files...)
	}
}

func (r *reader) readWhole(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // rotated away since
	}
	defer f.Close()
	r.lines = bufio.NewReaderSize(f, 64<<10)
	err = r.available()
	r.partial = nil
	return err
}

func (r *reader) openCurrent() error {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.options.Tail >= 0 {
		at, err := tailOffset(f, r.options.Tail)
		if err == nil {
			_, err = f.Seek(at, io.SeekStart)
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	r.file, r.lines = f, bufio.NewReaderSize(f, 64<<10)
	return nil
}

// available reads the whole lines that are there.
func (r *reader) available() error {
	for {
		text, err := r.lines.ReadBytes('\n')
		r.partial = append(r.partial, text...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line := r.partial
		r.partial = nil
		if err := r.take(line); err != nil {
			return err
		}
	}
}

// take gives one line on. One that is no JSON was cut by a crash.
func (r *reader) take(line []byte) error {
	var e Entry
	if json.Unmarshal(line, &e) != nil {
		return nil
	}
	if !r.options.Since.IsZero() && e.Time.Before(r.options.Since) {
		return nil
	}
	if !r.options.Until.IsZero() && e.Time.After(r.options.Until) {
		return errEnough
	}
	return r.each(e)
}
