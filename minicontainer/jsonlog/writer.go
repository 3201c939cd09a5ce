package jsonlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Entry is one line.
type Entry struct {
	Log    string    `json:"log"`    // with its newline, if it had one
	Stream string    `json:"stream"` // "stdout" or "stderr"
	Time   time.Time `json:"time"`
}

// Limits bound what the log may take on disk. Zero is no limit.
type Limits struct {
	MaxSize int64 // bytes of one file
	MaxFile int   // files; the oldest goes. At least 1
}

// Writer appends lines. It may be used by several goroutines.
type Writer struct {
	path   string
	limits Limits
	mu     sync.Mutex
	file   *os.File
	size   int64
}

// Create opens the log at path for appending (open(2), O_APPEND).
func Create(path string, limits Limits) (*Writer, error) {
	w := &Writer{path: path, limits: limits}
	return w, w.open()
}

func (w *Writer) open() error {
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.size = f, info.Size()
	return w.mend()
}

// mend ends a line that a killed writer left half written, so that the next one
// is not lost with it.
func (w *Writer) mend() error {
	if w.size == 0 {
		return nil
	}
	r, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer r.Close()
	last := make([]byte, 1)
	if _, err := r.ReadAt(last, w.size-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := w.file.Write([]byte("\n"))
	w.size += int64(n)
	return err
}

// Append writes one line. One write(2) each, so that a reader, or a crash,
// never sees two lines mixed. A line that found no room on the disk is lost whole:
// half of it would spoil the next one.
func (w *Writer) Append(e Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.limits.MaxSize > 0 && w.size > 0 && w.size+int64(len(text)) > w.limits.MaxSize {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(text)
	if err != nil && n > 0 {
		return errors.Join(err, w.file.Truncate(w.size))
	}
	w.size += int64(n)
	return err
}

// rotate moves the files up by one: log -> log.1 -> log.2. With one file only it
// begins anew.
func (w *Writer) rotate() error {
	if w.limits.MaxFile <= 1 {
		w.size = 0
		return w.file.Truncate(0)
	}
	for i := w.limits.MaxFile - 1; i > 0; i-- {
		err := os.Rename(older(w.path, i-1), older(w.path, i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	return w.open()
}

func older(path string, n int) string {
	if n == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}
