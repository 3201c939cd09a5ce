package vm

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// link is the line between host and guest, as both ends see it: many streams over
// one pipe of bytes.
type link struct {
	line io.ReadWriter

	write sync.Mutex // one frame at a time; Go's mutex lets waiters in by turns
	buf   []byte

	mu      sync.Mutex
	streams map[uint32]*stream
	err     error // why the line is dead
}

func newLink(line io.ReadWriter) *link {
	return &link{line: line, streams: map[uint32]*stream{}}
}

// Send writes one frame.
func (l *link) Send(f frame) error {
	l.write.Lock()
	defer l.write.Unlock()
	l.buf = appendFrame(l.buf[:0], f)
	_, err := l.line.Write(l.buf)
	return err
}

// SendJSON writes a frame with v as its payload.
func (l *link) SendJSON(kind frameKind, stream uint32, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("%d bytes of arguments and environment; at most %d fit", len(payload), maxPayload)
	}
	return l.Send(frame{Kind: kind, Stream: stream, Payload: payload})
}

// Serve reads frames until the line ends. What belongs to a stream's pipes is dealt
// with here, all else goes to handle, which must not wait.
func (l *link) Serve(handle func(frame)) error {
	r := bufio.NewReaderSize(l.line, 2*maxPayload)
	for {
		f, err := readFrame(r)
		if err == nil {
			err = l.route(f, handle)
		}
		if err != nil {
			return err // whoever serves knows why a line ends, and calls Fail
		}
	}
}

func (l *link) route(f frame, handle func(frame)) error {
	switch f.Kind {
	case kindData, kindEOF, kindGrant:
	default:
		handle(f)
		return nil
	}
	s := l.Stream(f.Stream)
	if s == nil {
		return nil // late bytes for a task that has ended
	}
	switch f.Kind {
	case kindData:
		return s.in[f.Channel].Put(f.Payload)
	case kindEOF:
		s.in[f.Channel].End(io.EOF)
	case kindGrant:
		if len(f.Payload) != 4 {
			return fmt.Errorf("grant of %d bytes, want 4", len(f.Payload))
		}
		s.out[f.Channel].Add(int(binary.LittleEndian.Uint32(f.Payload)))
	}
	return nil
}

// Fail ends every stream, now and in future, with err.
func (l *link) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	for id, s := range l.streams {
		s.end(l.err)
		delete(l.streams, id)
	}
}

// Stream finds an open stream, or nil.
func (l *link) Stream(id uint32) *stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams[id]
}

// Open adds a stream.
func (l *link) Open(id uint32) (*stream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	if l.streams[id] != nil {
		return nil, fmt.Errorf("stream %d is open already", id)
	}
	s := newStream(l, id)
	l.streams[id] = s
	return s, nil
}

// Close forgets a stream.
func (l *link) Close(s *stream) {
	l.mu.Lock()
	delete(l.streams, s.id)
	l.mu.Unlock()
	s.end(io.ErrClosedPipe)
}

// stream is one task's share of the line. Each side writes some channels and reads
// the others: the host writes stdin.
type stream struct {
	id   uint32
	link *link
	in   [channels]*inbox
	out  [channels]*credit
	done chan struct{} // closed with the stream

	once    sync.Once
	outcome outcome // set before done is closed, on the host
}

func newStream(l *link, id uint32) *stream {
	s := &stream{id: id, link: l, done: make(chan struct{})}
	for ch := range channels {
		s.out[ch] = newCredit()
		s.in[ch] = newInbox(func(n int) {
			// A failure shows where the line is read.
			_ = l.Send(frame{Kind: kindGrant, Channel: ch, Stream: id, Payload: binary.LittleEndian.AppendUint32(nil, uint32(n))})
		})
	}
	return s
}

// end makes every pending and later use of the pipes fail.
func (s *stream) end(err error) {
	for ch := range channels {
		s.in[ch].End(err)
		s.out[ch].Fail(err)
	}
	s.once.Do(func() { s.outcome = outcome{Lost: err}; close(s.done) })
}

// exit records how the task ended. What its pipes still hold can be read.
func (s *stream) exit(o outcome) {
	s.once.Do(func() { s.outcome = o; close(s.done) })
	s.out[stdin].Fail(io.ErrClosedPipe)
}

// writer is one channel of a stream to write to.
type writer struct {
	s  *stream
	ch channel
}

// Write sends p in frames, as credit allows.
func (w writer) Write(p []byte) (sent int, err error) {
	for sent < len(p) {
		n, err := w.s.out[w.ch].Take(min(len(p)-sent, maxPayload))
		if err != nil {
			return sent, err
		}
		if err := w.s.link.Send(frame{Kind: kindData, Channel: w.ch, Stream: w.s.id, Payload: p[sent : sent+n]}); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// Close says that no more will come.
func (w writer) Close() error {
	return w.s.link.Send(frame{Kind: kindEOF, Channel: w.ch, Stream: w.s.id})
}
