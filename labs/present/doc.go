// Package present turns the events of a walk into something to look at: JSON
// lines for programs, plain text for logs and screen readers, and a walk with
// pauses and shells for a person at a terminal.
//
//	walk.Event ──▶ JSON      one object per line, nothing else
//	           ──▶ Text      plain: words only, no colour, no box drawing
//	           ──▶ Terminal  Text with colour and boxes, and the questions
//
// Meaning is always in words. Colour and boxes only repeat it.
package present
