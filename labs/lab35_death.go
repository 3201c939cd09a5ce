package labs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/minicontainer/jsonlog"
)

func daemonDiesStep() bench.Step {
	return bench.Step{
		Name: "daemon-dies", Reproduces: []string{"part-daemon-dies"}, Inside: talker,
		Do: killDaemon,
		ByHand: bench.ByHand{
			Lines: typed(
				"kill -KILL $(cat daemon.pid)",
				"! wait $(cat client.pid)",
				"sleep 0.2",
				"cat client.out",
				"cutaway logs --tail 3 "+talker),
			Tools: []bench.Tool{bench.Sleep, bench.Cat, cutawayTool},
		},
		Look: []bench.View{
			parentsView(),
			{Title: "what goes on", Read: readGoingOn},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the daemon is gone, killed with SIGKILL: it could prepare nothing", "daemon", evidence.Gone()),
			evidence.Becomes("its socket is still a file, but nobody answers", "answer on the socket", evidence.Equals("connection refused")),
			evidence.Becomes("the client, whose answer will not come, has ended", "client", evidence.Gone()),
			evidence.Keeps("the container runs on: the same process", "container"),
			evidence.Keeps("its shim has not noticed", "shim"),
			goesOn("the output goes on into the log: the shim reads it, not the daemon", "lines in the log"),
		},
	}
}

// killDaemon kills the daemon and lets the container talk on for a while.
func killDaemon(ctx context.Context, b *bench.Bench) error {
	if err := killNamed(ctx, b, "daemon"); err != nil {
		return err
	}
	if err := waitFor(ctx, "the client has ended", func() bool { _, err := b.Pid("client"); return err != nil }); err != nil {
		return err
	}
	return hearMore(ctx, b)
}

// hearMore waits until the container has said more.
func hearMore(ctx context.Context, b *bench.Bench) error {
	heard := outputLines(b, talker)
	return waitFor(ctx, "the container has said more", func() bool { return outputLines(b, talker) > heard+1 })
}

// goesOn claims that there is more than before. It would be so as well if nothing
// had happened, and that is the point.
func goesOn(claim, fact string) evidence.Expectation {
	return stays(evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		before, _ := evidence.Number(o.Before.Value(fact))
		after, ok := evidence.Number(o.After.Value(fact))
		return evidence.Judged(ok && after > before, "more than "+o.Before.Value(fact), o.After.Value(fact))
	}))
}

func readGoingOn(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	const path = "/containers/" + talker + "/json"
	a := ask("GET", path, "")
	pid := evidence.Absent
	if d := a.about(); d.State.Pid != 0 {
		pid = fmt.Sprint(d.State.Pid)
	}
	return []evidence.Fact{
		evidence.F("answer on the socket", "curl --include --unix-socket "+socketName+" http://cutaway/v1.41"+path, a.status),
		evidence.F("process in the answer", "State.Pid in it", pid),
		evidence.F("lines in the log", "cutaway logs "+talker+" | wc -l", fmt.Sprint(outputLines(b, talker))),
	}, nil
}

// outputOf reads the log of a container as the shim has written it.
func outputOf(b *bench.Bench, name string) (all []jsonlog.Entry) {
	id := containerID(b, name)
	path := b.Path("root", "containers", id, id+"-json.log")
	jsonlog.Read(path, jsonlog.Options{Tail: -1}, func(e jsonlog.Entry) error {
		all = append(all, e)
		return nil
	})
	return all
}

func outputLines(b *bench.Bench, name string) int { return len(outputOf(b, name)) }

func daemonAgainStep() bench.Step {
	return bench.Step{
		Name: "again", Reproduces: []string{"part-daemon-dies"}, Inside: talker,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := startDaemon(ctx, b); err != nil {
				return err
			}
			return hearMore(ctx, b)
		},
		ByHand: bench.ByHand{
			Lines: typed(append(slices.Clip(daemonLines), "cutaway --host "+atSocket+" ps", "sleep 0.2")...),
			Tools: []bench.Tool{cutawayTool, bench.Timeout, bench.Sleep, curlTool},
		},
		Look: []bench.View{
			parentsView(),
			{Title: "what goes on", Read: readGoingOn},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is a daemon again, another process", "daemon", evidence.Present()),
			evidence.Becomes("it answers for a container that it has not started", "answer on the socket", evidence.Equals("HTTP/1.1 200 OK")),
			evidence.Custom("and knows its process", []string{"process in the answer", "container"}, func(o evidence.Observed) evidence.Verdict {
				got, want := o.After.Value("process in the answer"), o.After.Column("container", 0)
				return evidence.Judged(got == want && got != evidence.Absent, want, got)
			}),
			evidence.Keeps("the container is the same process all the while", "container"),
			evidence.Keeps("so is its shim", "shim"),
			goesOn("the output goes on", "lines in the log"),
		},
	}
}

func daemonCodeStep() bench.Step {
	return bench.Step{
		Name: "exit-code", Reproduces: []string{"part-daemon-dies"},
		Do: endUnseen,
		ByHand: bench.ByHand{
			Lines: typed(append([]string{
				"kill -KILL $(cat daemon.pid)",
				"kill -TERM $(cat " + talker + ".pid)",
				bounded("[ \"$(cutaway inspect --format {{.State.Status}} " + talker + ")\" = exited ]"),
			}, append(slices.Clip(daemonLines), "cutaway --host "+atSocket+" wait "+talker)...)...),
			Tools: []bench.Tool{cutawayTool, bench.Timeout, bench.Sleep, curlTool, bench.Cat},
		},
		Look: []bench.View{
			parentsView(),
			{Title: "who knows how it ended", Read: readEnd},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container has ended", "container", evidence.Gone()),
			evidence.Becomes("and so has its shim, whose work is done", "shim", evidence.Gone()),
			evidence.Custom("it ended before this daemon's socket was made: no daemon saw it", []string{"container ended at", "socket made at"}, func(o evidence.Observed) evidence.Verdict {
				ended, made := o.After.Value("container ended at"), o.After.Value("socket made at")
				return evidence.Judged(ended != evidence.Absent && made != evidence.Absent && ended < made, "before "+made, ended)
			}),
			evidence.Becomes("the shim was its parent, got the exit code from wait(2), and wrote it into the record", "exit code in the record", evidence.Equals("7")),
			evidence.Becomes("that is where the daemon has it from", "exit code from the daemon", evidence.Equals("7")),
		},
	}
}

// endUnseen ends the container while there is no daemon, and starts one.
func endUnseen(ctx context.Context, b *bench.Bench) error {
	if err := killNamed(ctx, b, "daemon"); err != nil {
		return err
	}
	pid, err := b.Pid(talker)
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return fmt.Errorf("kill(%d, SIGTERM): %w", pid, err)
	}
	if _, err := waitForContainer(ctx, b, talker); err != nil {
		return err
	}
	if err := waitFor(ctx, "the shim has ended", func() bool { return shimOf(containerID(b, talker)) == 0 }); err != nil {
		return err
	}
	return startDaemon(ctx, b)
}

// clock is a time as text that can be compared.
const clock = "2006-01-02 15:04:05.000000"

func readEnd(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	ended, kept, told, made := evidence.Absent, evidence.Absent, evidence.Absent, evidence.Absent
	c, err := container(b, talker)
	if err != nil {
		return nil, err
	}
	if c != nil && c.State.Status() == "exited" {
		ended, kept = c.State.FinishedAt.UTC().Format(clock), fmt.Sprint(c.State.ExitCode)
	}
	if d := ask("GET", "/containers/"+talker+"/json", "").about(); d.State.Status == "exited" {
		told = fmt.Sprint(d.State.ExitCode)
	}
	if st, err := os.Stat(socketName); err == nil {
		made = st.ModTime().UTC().Format(clock)
	}
	record := "root/containers/" + minicontainer.ShortID(strings.TrimSpace(containerID(b, talker))) + ".../config.v2.json"
	return []evidence.Fact{
		evidence.F("container ended at", "FinishedAt in "+record, ended),
		evidence.F("socket made at", "stat(2) "+socketName+": mtime", made),
		evidence.F("exit code in the record", "ExitCode in "+record, kept),
		evidence.F("exit code from the daemon", "cutaway --host "+atSocket+" wait "+talker, told),
	}, nil
}
