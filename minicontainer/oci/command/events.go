package command

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"cutaway/minicontainer/oci"
)

// event is one line of the events command.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

func (c *call) events() *verb {
	v := newVerb("events", "<container-id>", "Print numbers of a container, and its deaths for want of memory, as JSON lines", 1, 1)
	once := v.Bool("stats", false, "print the numbers once and end")
	interval := v.Duration("interval", 5*time.Second, "time between two lines")
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		out := json.NewEncoder(&lineWriter{w: c.out})
		if *once {
			return tellStats(out, box)
		}
		return follow(out, box, *interval)
	}
	return v
}

// lineWriter keeps lines of several goroutines whole.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}

func tellStats(out *json.Encoder, box *oci.Container) error {
	stats, err := box.Stats()
	if err != nil {
		return err
	}
	return out.Encode(event{"stats", box.ID, stats})
}

// follow prints until the container has ended.
func follow(out *json.Encoder, box *oci.Container, interval time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go box.OOMs(ctx, func() { out.Encode(event{Type: "oom", ID: box.ID}) })
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for box.Status() != oci.Stopped {
		if err := tellStats(out, box); err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}
