package labs

import (
	"context"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// utsLab is lab 03: a hostname of one's own.
func utsLab() bench.Lab {
	return bench.Lab{ID: "03", Name: "uts", Needs: needs("ns.uts"), Steps: []bench.Step{
		utsStartStep(),
		utsHostnameStep(),
	}}
}

func utsStartStep() bench.Step {
	return bench.Step{
		Name: "start", Inside: inner,
		Do: startIn(nsdemo.UTS),
		ByHand: bench.ByHand{
			Lines: bench.Lines("unshare --uts sleep 1000 & echo $! > inner.pid", waitUntilUnshared("uts")),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{"inside", "host"}, Read: readIDs(nsdemo.UTS, nsdemo.Mnt)},
			{Title: "hostnames", Read: readHostnames},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the process has a uts namespace of its own", "uts", 0, 1),
			evidence.ColumnsSame("its mount namespace is the host's: each kind is asked for on its own", "mnt", 0, 1),
			evidence.Same("the new namespace begins with a copy of the host's name", "hostname inside", "hostname outside"),
		},
	}
}

func utsHostnameStep() bench.Step {
	return bench.Step{
		Name: "hostname", Inside: inner,
		Reproduces: []string{"ns-uts-hostname"},
		Do:         setInnerHostname,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{"nsenter --target $(cat inner.pid) --uts hostname " + b.Param("hostname", "cutaway-box")}
			},
			Tools: []bench.Tool{bench.Nsenter, bench.Hostname},
		},
		Look: []bench.View{{Title: "hostnames", Read: readHostnames}},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, the hostname is the one that was chosen", "hostname inside", evidence.Param("hostname")),
			evidence.Keeps("outside, the hostname is what it was", "hostname outside"),
		},
	}
}

// setInnerHostname calls sethostname(2) in the namespace.
func setInnerHostname(ctx context.Context, b *bench.Bench) error {
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return err
	}
	return p.SetHostname(ctx, b.Param("hostname", "cutaway-box"))
}

// readHostnames asks uname(2) on both sides.
func readHostnames(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	b.Param("hostname", "cutaway-box")
	out, err := nsdemo.Hostname()
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("hostname outside", "uname(2) on the lab host", out)}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	in, err := p.Hostname(ctx)
	return append(facts, evidence.F("hostname inside", "uname(2) in the namespace", in)), err
}
