package minicontainer

import (
	"context"
	"io"
	"time"

	"cutaway/minicontainer/jsonlog"
)

// LogOptions choose lines of a container's log.
type LogOptions struct {
	Follow       bool
	Since, Until time.Time
	Tail         int // negative: all
	Timestamps   bool
}

// Logs writes what the container said, each stream to its own writer. With
// Follow it goes on until the container has ended.
func (e *Engine) Logs(ctx context.Context, ref string, o LogOptions, stdout, stderr io.Writer) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	if c.LogPath == "" {
		return conflictf("configured logging driver does not support reading")
	}
	options := jsonlog.Options{Since: o.Since, Until: o.Until, Tail: o.Tail}
	if o.Follow {
		options.Follow = func() bool { return ctx.Err() == nil && e.goesOn(c.ID) }
	}
	return jsonlog.Read(c.LogPath, options, func(l jsonlog.Entry) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		to := stdout
		if l.Stream == "stderr" {
			to = stderr
		}
		text := l.Log
		if o.Timestamps {
			text = l.Time.Format("2006-01-02T15:04:05.000000000Z07:00") + " " + text
		}
		_, err := io.WriteString(to, text)
		return err
	})
}

// goesOn says whether more output may come. The shim holds its lock until all
// of it is in the log.
func (e *Engine) goesOn(id string) bool { return e.ShimAlive(id) }
