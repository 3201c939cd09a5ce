package minicontainer

import (
	"sync"

	"cutaway/minicontainer/launch"
	"cutaway/unionfs"
)

// earlyShims are shims that were started before their containers were made: a
// program of this size takes milliseconds to start, and one of two processors
// is idle meanwhile. Such a shim holds nothing and has touched nothing. It waits
// for a request, and ends when the line is closed instead, be it by the death
// of this process.
type earlyShims struct {
	mu    sync.Mutex
	lines map[string]*Line // by container id
}

// begin starts one, unless it was started ahead of time, and returns the id of the
// container that it is for. Without a shim the container starts as well, only later.
func (s *earlyShims) begin(e *Engine) (id string) {
	id, near, ok := launch.Ahead()
	var err error
	if !ok {
		id = unionfs.NewID()
		if near, err = launch.Shim(id); err != nil {
			return id
		}
	}
	line, err := e.introduce(near)
	if err != nil {
		return id
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == nil {
		s.lines = map[string]*Line{}
	}
	s.lines[id] = line
	return id
}

// take hands one over, or nil.
func (s *earlyShims) take(id string) *Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.lines[id]
	delete(s.lines, id)
	return line
}

// drop sends one home, and waits until it is gone: who is told that a container
// could not be made may remove the folders that it looks at when it starts.
func (s *earlyShims) drop(id string) {
	if line := s.take(id); line != nil {
		line.hangUp()
	}
}

// RecallShim sends the shim home that was started ahead of time, if no container
// has taken it: the command line was wrong, or a daemon does the work.
func RecallShim() {
	_, near, ok := launch.Ahead()
	if !ok {
		return
	}
	if line, err := LineFrom(near); err == nil {
		line.hangUp()
	}
}
