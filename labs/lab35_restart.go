package labs

import (
	"context"
	"fmt"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

// The two containers of the last step have the same policy.
const (
	failing  = "fails"
	content  = "content"
	tries    = 3
	policy   = "on-failure"
	failCode = "echo here I am; exit 1"
	goodCode = "echo here I am; exit 0"
)

func daemonRestartStep() bench.Step {
	arguments := fmt.Sprintf("--restart %s:%d --network none box sh -c ", policy, tries)
	return bench.Step{
		Name: "restart", Reproduces: []string{"part-restart"},
		Intend: intendEngine,
		Do:     runBothTries,
		ByHand: bench.ByHand{
			Lines: typed(
				"cutaway run --detach --name "+failing+" "+arguments+shellQuote(failCode),
				"cutaway run --detach --name "+content+" "+arguments+shellQuote(goodCode),
				hasExited(content), hasExited(failing),
				"cutaway logs --timestamps "+failing),
			Tools: []bench.Tool{cutawayTool, bench.Timeout, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "both after a while", Columns: []string{failing, content}, Read: readTries},
			{Title: "from one try to the next", Read: readDelays},
		},
		Expect: []evidence.Expectation{
			cells("the program that fails was started once, and three times more: the limit", "starts", "4", "1"),
			cells("the record counts the restarts", "restarts in the record", "3", "0"),
			cells("after the last failure it is left alone, with the code of that failure", "status", "exited with 1", "exited with 0"),
			evidence.ColumnsDiffer("a clean exit is no failure: the same policy starts nothing again", "starts", 0, 1),
			delaysGrow("each try has to wait twice as long as the one before: at least 100 ms, then 200, then 400"),
		},
	}
}

func hasExited(name string) string {
	return bounded("[ \"$(cutaway inspect --format {{.State.Status}} " + name + ")\" = exited ]")
}

// runBothTries runs both, and waits until the policy has given up.
func runBothTries(ctx context.Context, b *bench.Bench) error {
	for name, program := range map[string]string{failing: failCode, content: goodCode} {
		o := minicontainer.Options{Name: name, Config: minicontainer.Config{Image: "box", Cmd: []string{"sh", "-c", program}}}
		o.Host.NetworkMode = "none"
		o.Host.RestartPolicy = minicontainer.RestartPolicy{Name: policy, MaximumRetryCount: tries}
		if err := run(b, o); err != nil {
			return err
		}
	}
	for _, name := range []string{failing, content} {
		ended := func() bool { s, err := statusOf(b, name); return err == nil && s == "exited" }
		if err := waitFor(ctx, name+" is left alone", ended); err != nil {
			return err
		}
	}
	return nil
}

// readTries counts the lives by their first word in the log.
func readTries(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("starts", "cutaway logs NAME | wc -l"),
		evidence.F("restarts in the record", "cutaway inspect --format '{{.RestartCount}}' NAME"),
		evidence.F("status", "cutaway ps --all"),
	}
	for _, name := range []string{failing, content} {
		c, err := container(b, name)
		if err != nil {
			return facts, err
		}
		values := []string{evidence.Absent, evidence.Absent, evidence.Absent}
		if c != nil {
			status := fmt.Sprintf("%s with %d", c.State.Status(), c.State.ExitCode)
			values = []string{fmt.Sprint(outputLines(b, name)), fmt.Sprint(c.RestartCount), status}
		}
		for i := range facts {
			facts[i].Values = append(facts[i].Values, values[i])
		}
	}
	return facts, nil
}

// readDelays are the times between the lines of the log.
func readDelays(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	log := outputOf(b, failing)
	var facts []evidence.Fact
	for i := range tries {
		gap := evidence.Absent
		if i+1 < len(log) {
			gap = fmt.Sprintf("%d ms", log[i+1].Time.Sub(log[i].Time)/time.Millisecond)
		}
		facts = append(facts, evidence.F(delayName(i), "cutaway logs --timestamps "+failing, gap))
	}
	return facts, nil
}

func delayName(i int) string { return fmt.Sprintf("before restart %d", i+1) }

// delaysGrow claims the doubling. What ending and starting take comes on top of
// each wait, and on a busy machine that may be more than the wait itself: so it is
// lower bounds that are claimed, and not that each time is longer than the last.
func delaysGrow(claim string) evidence.Expectation {
	var uses []string
	for i := range tries {
		uses = append(uses, delayName(i))
	}
	return evidence.Custom(claim, uses, func(o evidence.Observed) evidence.Verdict {
		ok, least, got := true, 100.0, ""
		for _, name := range uses {
			ms, is := evidence.Number(o.After.Value(name))
			ok = ok && is && ms >= least
			got += o.After.Value(name) + " "
			least = 2 * least
		}
		return evidence.Judged(ok, "at least 100 ms, 200 ms, 400 ms", got)
	})
}
