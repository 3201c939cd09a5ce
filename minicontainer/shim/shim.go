package shim

import (
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"cutaway/minicontainer"
)

// shim is the one of container id.
type shim struct {
	id       string
	engine   *minicontainer.Engine
	children *children
	streams  *streams
	life     *life

	mu        sync.Mutex
	waiting   []*minicontainer.Line // told when the container ends
	over      *minicontainer.Reply  // what they are told, once it is known for good
	calledOff chan struct{}         // no restart is wanted
}

// run lives all lives of the container.
func (s *shim) run(line *minicontainer.Line) {
	streams, err := newStreams()
	if err != nil {
		refuse(line, minicontainer.Reply{Error: err.Error(), Code: 125})
	}
	s.streams = streams
	// The starter's streams first: its container's first word must not be missed.
	// Until the request comes there may be no container yet, so nothing is touched
	// before; if it never comes, there is nothing to do. The line is left open: that
	// it ends says that this process has (earlyShims.drop waits for it).
	request, err := s.admit(line)
	if err != nil {
		return
	}
	lock, err := s.engine.ShimLock(s.id)
	if err != nil {
		line.Send(minicontainer.RunsAlready())
		return
	}
	defer lock.Close()
	if err := s.listen(); err != nil {
		line.Send(minicontainer.Reply{Error: err.Error(), Code: 125})
		return
	}
	policy := restarts{}
	if err := s.start(); err != nil {
		s.fail(line, err)
		return
	}
	line.Send(minicontainer.Reply{Started: true})
	go s.attend(line, request)
	// What it took to start is not needed to wait. A container that is over sooner
	// has no use for giving it back to the kernel, which takes a while.
	rest := time.AfterFunc(time.Second, debug.FreeOSMemory)
	defer rest.Stop()
	for {
		code := s.life.wait()
		again, delay := policy.decide(s, code)
		if !again {
			s.finish(code)
			return
		}
		s.tell(minicontainer.Reply{Exited: true, Code: code})
		if !s.pause(code, delay) {
			s.finish(code)
			return
		}
		switch err := s.start(); {
		case errors.Is(err, errCalledOff):
			s.finish(code)
			return
		case err != nil:
			s.finish(startCode(err))
			return
		}
	}
}

// hear puts a line among those who are told of the end; at once if it is over.
func (s *shim) hear(line *minicontainer.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		line.Send(*s.over)
		return
	}
	s.waiting = append(s.waiting, line)
}

// tell tells all who wait that the container has ended, and forgets them.
func (s *shim) tell(r minicontainer.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.waiting {
		line.Send(r)
	}
	s.waiting = nil
}

// finish takes down the last life and tells of it; with --rm, when the container
// is gone.
func (s *shim) finish(code int) {
	s.takeDown(code, false)
	reply := minicontainer.Reply{Exited: true, Code: code}
	s.mu.Lock()
	s.over = &reply
	s.mu.Unlock()
	s.tell(reply)
}

// fail is the end of a first life that never began.
func (s *shim) fail(line *minicontainer.Line, err error) {
	code := startCode(err)
	recorded := code
	if code == 125 { // that is what run ends with; of the container Docker says 128
		recorded = 128
	}
	s.takeDownFailed(err, recorded)
	line.Send(minicontainer.Reply{Error: err.Error(), Code: code})
}
