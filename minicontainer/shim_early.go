package minicontainer

import "sync"

// earlyShims are shims that were started before their containers were made: a
// program of this size takes milliseconds to start, and one of two processors
// is idle meanwhile. Such a shim holds nothing and has touched nothing. It waits
// for a request, and ends when the line is closed instead, be it by the death
// of this process.
type earlyShims struct {
	mu    sync.Mutex
	lines map[string]*Line // by container id
}

// put starts one. Without it the container starts as well, only later.
func (s *earlyShims) put(id string, spawn func(id string) (*Line, error)) {
	line, err := spawn(id)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == nil {
		s.lines = map[string]*Line{}
	}
	s.lines[id] = line
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
