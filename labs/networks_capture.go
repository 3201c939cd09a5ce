package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

// Frames are captured into a file of the scratch folder, as `tcpdump -w` does, whoever
// acts: so the views decode the same file, and a learner can open it.

// What to keep of what is heard, in tcpdump's words: pings, and the questions before them.
const (
	pings        = "icmp"
	pingsAndARPs = "arp or icmp"
)

// capture acts while the frames on eth0 are written down, and keeps those that the filter
// names.
func capture(b *bench.Bench, ns *netdemo.Namespace, filter, file string, act func() error) error {
	c, err := netdemo.StartCapture(ns, "eth0")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := act(); err != nil {
		return err
	}
	frames, err := c.Drain(20 * time.Millisecond)
	if err != nil {
		return err
	}
	out, err := os.Create(b.Path(file))
	if err != nil {
		return err
	}
	defer out.Close()
	return netdemo.WritePcap(out, keep(filter, frames))
}

func keep(filter string, frames []netdemo.Frame) (kept []netdemo.Frame) {
	for _, f := range frames {
		p := netdemo.Decode(f.Data)
		if (p.ICMP != nil && !p.ICMP.V6) || (p.ARP != nil && filter == pingsAndARPs) {
			kept = append(kept, f)
		}
	}
	return kept
}

// captureByHand puts shell lines between a tcpdump that has begun and one that has seen
// as many frames with the word as are expected. --immediate-mode and -U: each frame is
// in the file at once. -Z root: it may then write to this folder.
func captureByHand(b *bench.Bench, name, filter, file, word string, frames int, lines ...string) []string {
	if b.Where == "userns" {
		return lines // tcpdump cannot: see noCapture
	}
	log := file + ".log" // one for each file: in an old one the word would be found too early
	all := []string{
		fmt.Sprintf("ip netns exec %s tcpdump -i eth0 --immediate-mode -U -Z root -w %s %s 2> %s & dump=$!", name, file, filter, log),
		"while kill -0 $dump && ! grep -q listening " + log + "; do sleep 0.01; done",
	}
	all = append(all, lines...)
	return append(all,
		fmt.Sprintf("timeout 5 sh -c 'until [ $(tcpdump -nr %s 2>&1 | grep -c \"%s\") -ge %d ]; do sleep 0.02; done'", file, word, frames),
		"kill $dump; wait $dump",
		"tcpdump -ner "+file,
	)
}

// captureTools are what these lines use.
var captureTools = []bench.Tool{bench.IP, bench.Ping, bench.Tcpdump, bench.Sleep, bench.Timeout, {Program: "grep", Package: "grep"}}

// noCapture is why there is no file in a user namespace when a step was done by hand.
// The capture in Go works there.
var noCapture = &evidence.CannotTest{
	Reason: "tcpdump changes to a user of its own before it captures, which root of a user namespace that has only one user may not",
	WayOut: "run the lab as root, or let the program do this step",
}

// readFrames decodes a capture file, a row for each frame in order.
func readFrames(file string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		in, err := os.Open(b.Path(file))
		if errors.Is(err, os.ErrNotExist) && b.Where == "userns" {
			return nil, noCapture
		}
		if err != nil {
			return nil, err
		}
		defer in.Close()
		frames, err := netdemo.ReadPcap(in)
		var facts []evidence.Fact
		for i, f := range frames {
			facts = append(facts, evidence.F(frameName(i+1), "tcpdump -ner "+file, frameWords(netdemo.Decode(f.Data))))
		}
		return facts, err
	}
}

func frameName(i int) string { return fmt.Sprintf("frame %d", i) }

func frameWords(p netdemo.Packet) string {
	if p.IP == nil {
		return p.String()
	}
	return fmt.Sprintf("%s, ttl %d", p, p.IP.TTL)
}
