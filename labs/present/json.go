package present

import (
	"io"

	"cutaway/labs/walk"
)

// JSON writes events as JSON lines. Questions and shells are of a terminal and
// are not part of it.
type JSON struct{ Out io.Writer }

// Event writes one line.
func (j JSON) Event(e walk.Event, _ *walk.Worker) {
	switch e.(type) {
	case walk.AskEvent, walk.TTYEvent:
		return
	}
	text, err := walk.Encode(e)
	if err != nil {
		panic(err) // events are plain data of ours
	}
	j.Out.Write(append(text, '\n'))
}
