package inside

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// stderrPipe carries the helper's fd 2 to a writer. Only the caller's own file
// is passed on without one.
type stderrPipe struct {
	read   *os.File
	copied chan struct{}
	tail   *tail
}

// stdFiles gives fds 0, 1 and 2 of the helper.
func (h *Helper) stdFiles(stderr io.Writer) ([]*os.File, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	h.stderr = &stderrPipe{copied: make(chan struct{})}
	if f, ok := stderr.(*os.File); ok {
		close(h.stderr.copied)
		return []*os.File{null, null, f}, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		null.Close()
		return nil, err
	}
	if stderr == nil {
		h.stderr.tail = &tail{}
		stderr = h.stderr.tail
	}
	h.stderr.read = read
	go func() {
		io.Copy(stderr, read)
		close(h.stderr.copied)
	}()
	return []*os.File{null, null, write}, nil
}

// close ends the copying. Programs that the helper left behind may hold the
// other end open, so it does not wait for the end of the stream for long.
func (p *stderrPipe) close() {
	p.wait()
	if p.read != nil {
		p.read.Close()
	}
	<-p.copied
}

func (p *stderrPipe) wait() {
	select {
	case <-p.copied:
	case <-time.After(lastWords):
	}
}

// quote gives the helper's last words for an error text.
func (p *stderrPipe) quote() string {
	if p.tail == nil {
		return ""
	}
	p.wait()
	if said := p.tail.String(); said != "" {
		return "; it said: " + said
	}
	return ""
}

// tail keeps the last tailSize bytes written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
