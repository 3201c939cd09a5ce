package walk

import (
	"bufio"
	"context"
	"encoding/json"
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
	input := json.NewDecoder(bufio.NewReader(in))
	req, lab, err := readRequest(input, find)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var worker atomic.Pointer[Worker]
	f := &Front{
		RunDir: DefaultRunDir(), Step: req.Step, ByHand: req.ByHand, Omit: req.Omit, Params: req.Params,
		Probes:  probes(ctx, lab),
		Choose:  func(context.Context, bench.Lab) (Place, string) { return Host{Executable: exe, As: req.Where}, "" },
		Present: func(e Event, w *Worker) { worker.CompareAndSwap(nil, w); relayOut(e, out) },
		Strict:  true, // nobody else is at work in a throwaway machine
	}
	go relayIn(input, &worker, cancel)
	_, _, err = f.perform(ctx, lab, residue.Take(f.folders()...), newSummary(nil))
	return err
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
