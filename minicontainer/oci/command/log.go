package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// fail logs; where the log is a file, standard error gets the bare text too.
func (c *call) fail(text string) {
	c.write("error", text)
	if c.log != "" {
		fmt.Fprintln(c.errs, text)
	}
}

// write adds one line to the log: logrus's two formats, which containerd,
// Podman and Docker read back for the reason of a failure.
func (c *call) write(level, text string) {
	out := c.errs
	if c.log != "" {
		file, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			fmt.Fprintln(c.errs, err)
			return
		}
		defer file.Close()
		out = file
	}
	io.WriteString(out, logLine(c.logFormat, level, text, time.Now())+"\n")
}

func logLine(format, level, text string, now time.Time) string {
	stamp := now.Format(time.RFC3339)
	if format == "json" {
		line, _ := json.Marshal(map[string]string{"level": level, "msg": text, "time": stamp})
		return string(line)
	}
	return fmt.Sprintf("time=%q level=%s msg=%q", stamp, level, text)
}
