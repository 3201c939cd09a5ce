package walk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"cutaway/internal/probe"
	"cutaway/internal/residue"
	"cutaway/labs/bench"
)

// Relay performs one lab for a front elsewhere: it reads a Request, starts a
// worker on this machine, and passes events out and replies in. The lab's last
// event carries what differs here afterwards.
func Relay(ctx context.Context, find Finder, probes func(context.Context, bench.Lab) map[probe.ID]probe.Result, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &Front{RunDir: DefaultRunDir(), Strict: true} // nobody else is at work in a throwaway machine
	first, err := firstByte(in)
	if err != nil {
		return err
	}
	before := residue.Take(f.folders()...)
	input := json.NewDecoder(bufio.NewReader(io.MultiReader(first, in)))
	req, lab, err := readRequest(input, find)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var worker atomic.Pointer[Worker]
	f.Step, f.ByHand, f.Omit, f.Params = req.Step, req.ByHand, req.Omit, req.Params
	f.Probes = func() map[probe.ID]probe.Result { return probes(ctx, lab) }
	f.Choose = func(context.Context, bench.Lab) (Place, string) { return Host{Executable: exe, As: req.Where}, "" }
	f.Present = func(e Event, w *Worker) { worker.CompareAndSwap(nil, w); relayOut(e, out) }
	go relayIn(input, &worker, cancel)
	_, _, err = f.perform(ctx, lab, before, newSummary(nil))
	return err
}

// firstByte waits for the input to begin, and returns what it took of it. A relay
// that was started before it is needed gets two empty lines: the first when the
// guest is complete and can be looked at, the second so that what it waits for
// next is the request. To JSON they are nothing.
func firstByte(in io.Reader) (io.Reader, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(in, first); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return bytes.NewReader(first), nil
}

// relayOut passes an event on. The front has told the lab's beginning itself.
func relayOut(e Event, out io.Writer) {
	if lab, ok := e.(LabEvent); ok && lab.State == Start {
		return
	}
	text, err := Encode(e)
	if err != nil {
		panic(err) // events are plain data of ours
	}
	out.Write(append(text, '\n'))
}

// relayIn passes replies on until the front hangs up.
func relayIn(input *json.Decoder, worker *atomic.Pointer[Worker], gone func()) {
	defer gone()
	for {
		var r Reply
		if input.Decode(&r) != nil {
			return
		}
		if w := worker.Load(); w != nil {
			w.Reply(r)
		}
	}
}
