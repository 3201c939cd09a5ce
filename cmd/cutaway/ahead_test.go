package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/launch"
)

// TestShimIsStartedAhead holds up the reading of a command line of `run`: the shim
// is there meanwhile. Nothing comes of the line, and the shim has ended before the
// program has; also when a signal ends the program.
func TestShimIsStartedAhead(t *testing.T) {
	for _, killed := range []bool{false, true} {
		s := newSession(t)
		dir := t.TempDir()
		mark := "CUTAWAY_TEST_AHEAD=" + dir
		s.env = append(s.env, mark)
		variables := filepath.Join(dir, "variables")
		if err := unix.Mkfifo(variables, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		cmd := s.command(ctx, "run", "--env-file", variables, "box", "true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for n := 0; len(shimsWith(t, mark)) == 0; n++ {
			if n == 500 {
				t.Fatal("no shim after 5 seconds")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if killed {
			cmd.Process.Kill()
			cmd.Wait()
			for n := 0; len(shimsWith(t, mark)) > 0; n++ {
				if n == 500 {
					t.Fatal("a shim waits for a client that was killed")
				}
				time.Sleep(10 * time.Millisecond)
			}
			continue
		}
		if err := os.WriteFile(variables, []byte("no name\n"), 0); err != nil { // waits for its reader
			t.Fatal(err)
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitDockerFlag {
			t.Errorf("run with a wrong file of variables = %d; want %d", code, exitDockerFlag)
		}
		if left := shimsWith(t, mark); len(left) > 0 {
			t.Errorf("shims %v after the end of the program", left)
		}
	}
}

// shimsWith are the processes of shims with this in their environment.
func shimsWith(t *testing.T, variable string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, proc := range all {
		line, _ := os.ReadFile(proc + "/cmdline")
		env, _ := os.ReadFile(proc + "/environ")
		if bytes.HasPrefix(line, []byte(launch.ShimName+"\x00")) && bytes.Contains(env, []byte(variable+"\x00")) {
			found = append(found, proc)
		}
	}
	return found
}
