package minicontainer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Damaged says that there is a record of something, but no text that makes sense.
type Damaged struct {
	What string // "container 0123456789ab"
	Way  string // the command that removes it
	Err  error
}

func (e *Damaged) Error() string {
	return fmt.Sprintf("the record of %s is damaged: %v\nA power cut can leave it empty or cut off. Nothing else tells how it was made; what is left of it is removed by: %s", e.What, e.Err, e.Way)
}

func (e *Damaged) Unwrap() error { return e.Err }

func isDamaged(err error) bool {
	var d *Damaged
	return errors.As(err, &d)
}

// damaged tells a text that is wrong from a file that cannot be read: an errno is
// about the file, and there is no doubt about what it would say.
func damaged(what, way string, err error) error {
	var path *fs.PathError
	if err == nil || errors.As(err, &path) {
		return err
	}
	return &Damaged{what, way, err}
}

// remains is what can be said of a container with a damaged record. It is listed
// as dead, so that it is seen and the others are too.
func (e *Engine) remains(id string, why error) *Container {
	c := &Container{ID: id, State: State{Dead: true, Error: why.Error()}}
	if dir, err := os.Stat(e.containerDir(id)); err == nil {
		c.Created = dir.ModTime()
	}
	names, _ := os.ReadDir(e.namePath("."))
	for _, entry := range names {
		if holder, err := os.Readlink(e.namePath(entry.Name())); err == nil && holder == id {
			c.Name = "/" + entry.Name()
		}
	}
	return c
}

// removeDamaged removes a container of which there is no telling what belongs to
// it, beside what has its id. Without a record it is as good as half made, and is
// cleared in the same way.
func (e *Engine) removeDamaged(id string) error {
	lock, err := e.lock(id)
	if err != nil {
		return err
	}
	defer lock.Close()
	if e.ShimAlive(id) {
		return conflictf("You cannot remove container %s: its record is damaged, but it is running. End it from inside, or kill its processes", ShortID(id))
	}
	err = errors.Join(e.Runtime.Delete(id, true), unmountAbove(e.File(id, "shm")), os.RemoveAll(e.shimDir(id)))
	if err == nil {
		err = os.Remove(e.File(id, "config.v2.json"))
	}
	if err == nil {
		err = lock.Close() // Sweep leaves alone what somebody is at
	}
	if err != nil {
		return err
	}
	return e.Sweep()
}
