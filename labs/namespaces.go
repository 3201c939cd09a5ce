package labs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// The labs on namespaces share what stands here. In each of them the process
// that lives in the new namespaces is called "inner".
const inner = "inner"

// startIn is an act: clone(2) a process into new namespaces of these kinds.
func startIn(kinds ...nsdemo.Kind) func(context.Context, *bench.Bench) error {
	return func(ctx context.Context, b *bench.Bench) error {
		p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: kinds})
		if err != nil {
			return err
		}
		return b.Keep(inner, p)
	}
}

// readIDs compares the namespaces of inner with those of the lab host.
func readIDs(kinds ...nsdemo.Kind) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		host, err := nsdemo.IDs("/proc", os.Getpid())
		if err != nil {
			return nil, err
		}
		pid, err := b.Pid(inner)
		ids := map[nsdemo.Kind]uint64{}
		if err == nil {
			ids, err = nsdemo.IDs("/proc", pid)
		}
		if errors.Is(err, bench.ErrNoSubject) {
			err = nil
		}
		var facts []evidence.Fact
		for _, k := range kinds {
			in := evidence.Absent
			if ids[k] != 0 {
				in = fmt.Sprint(ids[k])
			}
			facts = append(facts, evidence.F(string(k), fmt.Sprintf("readlink /proc/%s/ns/%s", pidOr(pid), k), in, fmt.Sprint(host[k])))
		}
		return facts, err
	}
}

// pidOr is the pid, or PID as long as there is no process.
func pidOr(pid int) string {
	if pid == 0 {
		return "PID"
	}
	return fmt.Sprint(pid)
}

// waitUntilUnshared is a shell line that waits until the background process of
// inner.pid has its own namespace: the shell goes on before unshare(1) has
// made it.
func waitUntilUnshared(kind string) string {
	return "until [ $(readlink /proc/$(cat inner.pid)/ns/" + kind + ") != $(readlink /proc/self/ns/" + kind + ") ]; do sleep 0.01; done"
}

// waitUntilRuns is a shell line that waits until a background process has
// become the program: unshare(1) and its like have done their work by then. It
// also ends when the process has, which the step's claims then tell.
func waitUntilRuns(name, program string) string {
	return "while kill -0 $(cat " + name + ".pid) && [ \"$(cat /proc/$(cat " + name + ".pid)/comm)\" != " + program + " ]; do sleep 0.01; done"
}
