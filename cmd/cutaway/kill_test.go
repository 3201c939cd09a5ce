package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cutaway/internal/journal"
	"cutaway/internal/needs"
	"cutaway/internal/residue"
	"cutaway/labs"
	"cutaway/labs/bench"
)

// killPoints is how often the kill test strikes: a sample in `make test`, as
// many as CUTAWAY_STRESS says in `make stress`.
func killPoints() int {
	if n, err := strconv.Atoi(os.Getenv("CUTAWAY_STRESS")); err == nil {
		return n
	}
	return 12
}

// killLabs are the labs to strike in: all that this machine can perform, or those
// of CUTAWAY_STRESS_LABS.
func killLabs(t *testing.T) []bench.Lab {
	t.Helper()
	wanted := "all"
	if some := os.Getenv("CUTAWAY_STRESS_LABS"); some != "" {
		wanted = some
	}
	picked, err := labs.Select([]string{wanted})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(picked, func(l bench.Lab) bool { return whyNotHere(l, probeNeeds(t.Context(), l)) != "" })
}

// kill -9 at any moment, then `clean`, then nothing is left. The points are
// spread over the labs and over the time that each takes; every other time it
// is the worker that dies, in which case the front puts things back itself.
func TestKillAnywhereThenClean(t *testing.T) {
	needs.Root(t)
	all := killLabs(t)
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	durations := map[string]time.Duration{}
	for point := range killPoints() {
		lab := all[point%len(all)].ID
		args := []string{"lab", lab, "--json"}
		if random.IntN(2) == 1 {
			args = append(args, "--by-hand")
		}
		if durations[lab] == 0 {
			start := time.Now()
			newSession(t).run(args...)
			durations[lab] = time.Since(start)
		}
		delay := time.Duration(random.Int64N(int64(durations[lab])))
		killWorker := point%2 == 1
		t.Run(fmt.Sprintf("%d-lab%s-at-%v-worker-%v", point, lab, delay.Round(time.Millisecond), killWorker), func(t *testing.T) {
			strike(t, args, delay, killWorker)
		})
	}
}

func strike(t *testing.T, args []string, delay time.Duration, killWorker bool) {
	s := newSession(t)
	before := residue.Take(s.runDir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(delay)
	if victim := findWorker(cmd.Process.Pid); killWorker && victim.Pid != 0 {
		if err := victim.Kill(); err != nil {
			t.Error(err)
		}
	} else {
		cmd.Process.Kill()
	}
	cmd.Wait()
	if got := s.run("clean"); got.code != exitOK {
		t.Errorf("clean: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	run := fmt.Sprintf("%d-", cmd.Process.Pid) // how every run id of that front begins
	left, others := residue.Split(residue.Diff(before, residue.Take(s.runDir)), "cutaway-"+run, "(run "+run, s.runDir)
	if len(left) > 0 {
		t.Errorf("left after clean: %v", left)
	}
	if len(others) > 0 {
		t.Logf("changed meanwhile by others: %v", others)
	}
	if _, err := os.Stat(s.runDir); err == nil {
		t.Errorf("the run folder is still there")
	}
}

// findWorker finds the worker that the front started, by its parent.
func findWorker(front int) journal.Process {
	for _, pid := range childrenOf(front) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if slices.Contains(strings.Split(string(cmdline), "\x00"), "__worker") {
			p, _ := journal.ProcessOf(pid)
			return p
		}
	}
	return journal.Process{}
}

// childrenOf lists the processes that a process has started.
func childrenOf(parent int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(text)) {
			var pid int
			fmt.Sscan(field, &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}
