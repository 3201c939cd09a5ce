package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Run is the journal of one run of cutaway, open for writing. The process that
// began it and the workers that it starts write to the same file.
type Run struct {
	ID   string
	dir  string
	file *os.File
}

// line is one record of the file. Exactly one field is set.
type line struct {
	Header *header  `json:"run,omitempty"`
	Worker *Process `json:"worker,omitempty"`
	Intent *Undo    `json:"intent,omitempty"`
	Undone *Undo    `json:"undone,omitempty"`
}

type header struct {
	Boot  string  `json:"boot"`
	Owner Process `json:"owner"`
}

// Begin opens a journal for the calling process below the run folder.
func Begin(dir string) (*Run, error) {
	self, err := Self()
	if err != nil {
		return nil, err
	}
	boot, err := BootID()
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%d-%d", self.Pid, self.Start)
	// Others may pass through the run folder (a lab drops its privileges in its
	// scratch folder), but not read the journal.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the run folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "journal"), 0o700); err != nil {
		return nil, fmt.Errorf("make the journal folder: %w", err)
	}
	file, err := os.OpenFile(journalPath(dir, id), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	run := &Run{ID: id, dir: dir, file: file}
	if err := run.write(line{Header: &header{Boot: boot, Owner: self}}); err != nil {
		return nil, errors.Join(err, run.discard())
	}
	return run, nil
}

// Continue opens a run that another process began and enters the caller as one
// of its workers, so that `clean` knows that it may still be at work.
func Continue(dir, id string) (*Run, error) {
	file, err := os.OpenFile(journalPath(dir, id), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open the journal of run %s: %w", id, err)
	}
	self, err := Self()
	if err != nil {
		return nil, err
	}
	run := &Run{ID: id, dir: dir, file: file}
	return run, run.write(line{Worker: &self})
}

// Intend puts the undo on disk. Call it before the act; when it fails, the act
// must not happen.
func (r *Run) Intend(u Undo) error {
	if err := r.write(line{Intent: &u}); err != nil {
		return fmt.Errorf("%w: nothing was done, since it could not be undone after a crash", err)
	}
	return nil
}

// PutBack undoes everything that is still to be undone, last made first. It
// goes on after errors and joins them.
func (r *Run) PutBack() error {
	state, err := read(journalPath(r.dir, r.ID))
	if err != nil {
		return err
	}
	return r.replay(state.pending)
}

// Mark is a point to return to with PutBackTo.
func (r *Run) Mark() (int, error) {
	state, err := read(journalPath(r.dir, r.ID))
	return len(state.pending), err
}

// PutBackTo undoes what was made since the mark.
func (r *Run) PutBackTo(mark int) error {
	state, err := read(journalPath(r.dir, r.ID))
	if err != nil || mark > len(state.pending) {
		return err
	}
	return r.replay(state.pending[mark:])
}

// replay undoes, last made first. Only two kinds go before all else, whenever they
// were recorded. A suspended device keeps a process that waits for it from dying;
// and the run's processes hold groups, mounts and devices busy.
func (r *Run) replay(pending []Undo) error {
	var errs []error
	order := slices.Clone(pending)
	slices.SortStableFunc(order, func(a, b Undo) int { return rank(a) - rank(b) })
	for _, u := range slices.Backward(order) {
		if err := u.Apply(); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := r.write(line{Undone: &u}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func rank(u Undo) int {
	switch u.Kind {
	case ResumeDM:
		return 2
	case SweepMarked:
		return 1
	}
	return 0
}

// End puts back what is left and removes the journal. A journal with something
// that could not be undone stays, for `cutaway clean`.
func (r *Run) End() error {
	if err := r.PutBack(); err != nil {
		return errors.Join(err, r.file.Close())
	}
	return r.discard()
}

// Close lets go of the file; the run goes on elsewhere.
func (r *Run) Close() error { return r.file.Close() }

func (r *Run) discard() error {
	err := errors.Join(r.file.Close(), os.Remove(journalPath(r.dir, r.ID)))
	removeEmpty(r.dir)
	return err
}

// write appends one line with a single write(2), so that two processes writing
// at once do not mix (O_APPEND, write(2)) and a reader never sees half a line
// but at the very end.
func (r *Run) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// state is what a journal says.
type state struct {
	header  header
	workers []Process
	pending []Undo
}

func read(path string) (state, error) {
	f, err := os.Open(path)
	if err != nil {
		return state{}, fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	return parse(f)
}

// parse reads a journal. A last line without its newline was being written
// when its writer died: its act did not happen, so it is left out.
func parse(r io.Reader) (state, error) {
	var s state
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		text, err := lines.ReadString('\n')
		if err != nil {
			return s, nil
		}
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return s, fmt.Errorf("journal line %d: %w", n, err)
		}
		s.add(l)
	}
}

func (s *state) add(l line) {
	switch {
	case l.Header != nil:
		s.header = *l.Header
	case l.Worker != nil:
		s.workers = append(s.workers, *l.Worker)
	case l.Intent != nil:
		s.pending = append(s.pending, *l.Intent)
	case l.Undone != nil:
		if i := lastIndex(s.pending, *l.Undone); i >= 0 {
			s.pending = slices.Delete(s.pending, i, i+1)
		}
	}
}

func lastIndex(list []Undo, u Undo) int {
	for i, x := range slices.Backward(list) {
		if x == u {
			return i
		}
	}
	return -1
}

func journalPath(dir, id string) string {
	return filepath.Join(dir, "journal", strings.ReplaceAll(id, "/", "_")+".jsonl")
}

// removeEmpty removes the run folder's own folders where nothing is in them.
// rmdir refuses a folder with content, which is what keeps other runs safe.
func removeEmpty(dir string) {
	for _, sub := range []string{"journal", "scratch", ""} {
		os.Remove(filepath.Join(dir, sub))
	}
}
