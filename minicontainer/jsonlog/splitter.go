package jsonlog

import (
	"bytes"
	"time"
)

// maxLine is where a long line is cut, as Docker does: what has no newline must
// not grow in memory without end.
const maxLine = 16 << 10

// Splitter cuts one stream of output into lines for the log.
type Splitter struct {
	Writer *Writer
	Stream string
	rest   []byte
}

// Write takes output as it comes.
func (s *Splitter) Write(p []byte) (int, error) {
	now, taken := time.Now().UTC(), len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		end = min(end, maxLine-len(s.rest))
		s.rest = append(s.rest, p[:end]...)
		p = p[end:]
		if s.rest[len(s.rest)-1] != '\n' && len(s.rest) < maxLine {
			continue
		}
		if err := s.flush(now); err != nil {
			return 0, err
		}
	}
	return taken, nil
}

// Flush writes what came last without a newline.
func (s *Splitter) Flush() error {
	if len(s.rest) == 0 {
		return nil
	}
	return s.flush(time.Now().UTC())
}

func (s *Splitter) flush(now time.Time) error {
	err := s.Writer.Append(Entry{Log: string(s.rest), Stream: s.Stream, Time: now})
	s.rest = s.rest[:0]
	return err
}
