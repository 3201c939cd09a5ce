package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Cleaned is what `cutaway clean` did about one run.
type Cleaned struct {
	Run    string
	Alive  bool     // it is still at work and was left alone
	Undone []string // what was put back, as commands to look at it
	Left   error    // what could not be
}

// Clean replays the journals of runs whose owner is dead. A run from before the
// last boot has nothing left in the kernel; only its files are removed.
func Clean(dir string) ([]Cleaned, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "journal", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	boot, err := BootID()
	if err != nil {
		return nil, err
	}
	var all []Cleaned
	for _, path := range paths {
		c, err := cleanRun(dir, path, boot)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	removeStaleLock(dir)
	removeEmpty(dir)
	return all, nil
}

// removeStaleLock removes the file that a killed run held locked. The lock
// itself died with it; one that is held stays.
func removeStaleLock(dir string) {
	if _, err := os.Stat(lockPath(dir)); err != nil {
		return
	}
	if lock, err := Take(dir); err == nil {
		lock.Release()
	}
}

func cleanRun(dir, path, boot string) (Cleaned, error) {
	id := strings.TrimSuffix(filepath.Base(path), ".jsonl")
	c := Cleaned{Run: id}
	s, err := read(path)
	if err != nil {
		c.Left = err
		return c, nil
	}
	if s.header.Boot == boot && s.header.Owner.Alive() {
		c.Alive = true
		return c, nil
	}
	if s.header.Boot != boot {
		s.pending = onlyFiles(s.pending)
	} else if err := endWorkers(s.workers); err != nil {
		// A worker that still runs could make new things behind our back.
		c.Left = err
		return c, nil
	}
	c.Undone, c.Left = replayDead(dir, id, s.pending)
	return c, nil
}

func endWorkers(workers []Process) error {
	var errs []error
	for _, w := range workers {
		errs = append(errs, w.Kill())
	}
	return errors.Join(errs...)
}

func replayDead(dir, id string, pending []Undo) ([]string, error) {
	file, err := os.OpenFile(journalPath(dir, id), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	run := &Run{ID: id, dir: dir, file: file}
	var undone []string
	for _, u := range pending {
		undone = append(undone, u.String())
	}
	if err := run.replay(pending); err != nil {
		return undone, errors.Join(err, run.Close())
	}
	return undone, run.discard()
}

// onlyFiles keeps what outlives a reboot.
func onlyFiles(pending []Undo) []Undo {
	var files []Undo
	for _, u := range pending {
		if u.Kind == RemoveDir || u.Kind == RemoveFile {
			files = append(files, u)
		}
	}
	return files
}
