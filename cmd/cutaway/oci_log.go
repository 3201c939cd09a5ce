package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// logged wraps a command: an error goes to the log and to standard error in the
// form that engines parse, and becomes the exit status.
func (f *ociFlags) logged(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		var exit exitError
		if err == nil || errors.As(err, &exit) {
			return err
		}
		// runc's own words: engines look for them, whatever the runtime is called.
		text, status := fmt.Sprintf("runc %s failed: %s", cmd.Name(), err), exitFailed
		if cmd.Name() == "exec" {
			text, status = fmt.Sprintf("exec failed: %s", err), 255 // 1 could be the program's own status
		}
		f.fail(text, cmd)
		return exitError{code: status}
	}
	return cmd
}

// fail logs; where the log is a file, standard error gets the bare text too.
func (f *ociFlags) fail(text string, cmd *cobra.Command) {
	f.write("error", text)
	if f.log != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), text)
	}
}

// write adds one line to the log: logrus's two formats, which containerd,
// Podman and Docker read back for the reason of a failure.
func (f *ociFlags) write(level, text string) {
	out := os.Stderr
	if f.log != "" {
		file, err := os.OpenFile(f.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer file.Close()
		out = file
	}
	fmt.Fprintln(out, logLine(f.logFormat, level, text, time.Now()))
}

func logLine(format, level, text string, now time.Time) string {
	stamp := now.Format(time.RFC3339)
	if format == "json" {
		line, _ := json.Marshal(map[string]string{"level": level, "msg": text, "time": stamp})
		return string(line)
	}
	return fmt.Sprintf("time=%q level=%s msg=%q", stamp, level, text)
}
