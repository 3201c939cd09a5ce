package shim

import (
	"strings"

	"cutaway/internal/size"
	"cutaway/minicontainer/jsonlog"
)

// startCode is what Docker's client exits with when a container could not be
// started: 127 there is no such program, 126 it cannot be executed, else 125.
// The runtime's errors from inside the container have crossed a socket as text.
func startCode(err error) int {
	text := err.Error()
	switch {
	case !strings.Contains(text, "exec"):
		return 125
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		return 127
	case strings.Contains(text, "permission denied"), strings.Contains(text, "exec format error"), strings.Contains(text, "is a directory"):
		return 126
	}
	return 125
}

// openLog opens the log that the record names.
func (l *life) openLog() error {
	if l.c.LogPath == "" {
		return nil
	}
	var limits jsonlog.Limits
	options := l.c.HostConfig.LogConfig.Config
	var err error
	if text := options["max-size"]; text != "" {
		if limits.MaxSize, err = size.Parse(text); err != nil {
			return err
		}
	}
	limits.MaxFile = number(options["max-file"])
	if l.log, err = jsonlog.Create(l.c.LogPath, limits); err != nil {
		return err
	}
	for n, name := range map[int]string{1: "stdout", 2: "stderr"} {
		split := &jsonlog.Splitter{Writer: l.log, Stream: name}
		l.streams.logs[n] = split
		l.splits = append(l.splits, split)
	}
	return nil
}

func number(text string) (n int) {
	for _, d := range text {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + int(d-'0')
	}
	return n
}
