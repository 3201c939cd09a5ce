package shim

import (
	"errors"
	"net"

	"cutaway/minicontainer"
	"cutaway/minicontainer/bundle"
)

var errCalledOff = errors.New("the restart was called off")

// listen serves whoever connects, from now to the end of the process.
func (s *shim) listen() error {
	l, err := minicontainer.Listen(s.engine.ShimSocketDir(s.id), "socket")
	if err != nil {
		return err
	}
	go s.accept(l)
	return nil
}

func (s *shim) accept(l *net.UnixListener) {
	for {
		line, err := minicontainer.Accept(l)
		if err != nil {
			return
		}
		go s.answer(line)
	}
}

// admit takes the first request of a line. Attaching is all that needs to be
// done before the container starts.
func (s *shim) admit(line *minicontainer.Line) (*admitted, error) {
	a := &admitted{}
	files, err := line.Receive(&a.Request)
	if err != nil {
		return nil, err
	}
	a.client = minicontainer.StreamsFrom(a.Files, files)
	if a.Attach != nil {
		a.detach = s.streams.attach(line, a.client)
		s.hear(line)
	}
	return a, nil
}

// admitted is a line's first request with what came of it.
type admitted struct {
	minicontainer.Request
	client minicontainer.Streams
	detach func()
}

// answer serves one line.
func (s *shim) answer(line *minicontainer.Line) {
	a, err := s.admit(line)
	if err != nil {
		line.Close()
		return
	}
	switch {
	case a.Attach != nil:
		line.Send(minicontainer.Reply{Started: true})
		s.attend(line, a)
	case a.Exec != nil:
		s.exec(line, a)
	case a.Wait:
		s.hear(line)
		s.attend(line, a)
	case a.Limits != nil:
		report(line, s.limit(a.Limits))
	case a.Names:
		report(line, s.rename())
	case a.CallOff:
		select {
		case s.calledOff <- struct{}{}:
		default:
		}
		line.Close()
	}
}

// report says that something is done, or why not.
func report(line *minicontainer.Line, err error) {
	reply := minicontainer.Reply{Started: true}
	if err != nil {
		reply = minicontainer.Reply{Error: err.Error(), Code: 125}
	}
	line.Send(reply)
	line.Close()
}

// attend hears what an attached client says later: the size of its terminal, or
// nothing more, when it detaches or dies.
func (s *shim) attend(line *minicontainer.Line, a *admitted) {
	for {
		var r minicontainer.Request
		if _, err := line.Receive(&r); err != nil {
			break
		}
		if r.Size != nil {
			s.streams.resize(*r.Size)
		}
	}
	if a.detach != nil {
		a.detach()
	}
	line.Close()
}

// limit writes new limits into the container's group.
func (s *shim) limit(r *minicontainer.Resources) error {
	numbers, err := bundle.Throttled(r)
	if err != nil {
		return err
	}
	limits, err := bundle.Limits(r, numbers)
	if err != nil {
		return err
	}
	rc, err := s.engine.Runtime.Open(s.id)
	if err != nil {
		return err
	}
	return rc.Update(*limits)
}
