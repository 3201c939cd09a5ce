package registry

import (
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// State is what happens to one layer, in the words of `docker pull` and `push`.
type State string

const (
	Waiting     State = "Waiting"
	Downloading State = "Downloading"
	Downloaded  State = "Download complete"
	Extracting  State = "Extracting"
	PullDone    State = "Pull complete"
	Exists      State = "Already exists"
	Pushing     State = "Pushing"
	Pushed      State = "Pushed"
	PushExists  State = "Layer already exists"
)

// Progress is one report about one layer.
type Progress struct {
	Layer   digest.Digest // the compressed blob's digest; when pushing, the diff id
	State   State
	Current int64 // bytes so far, in Downloading and Pushing
	Total   int64 // bytes in all, 0 if unknown
}

// Report is called with every change, from one goroutine at a time. It must not
// block for long.
type Report func(Progress)

// often is how far apart two reports of the same state are at least.
const often = 100 * time.Millisecond

// meter reports how much was read through it.
type meter struct {
	r      io.Reader
	p      Progress
	report Report
	last   time.Time
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.p.Current += int64(n)
	if now := time.Now(); now.Sub(m.last) >= often {
		m.last = now
		m.report(m.p)
	}
	return n, err
}
