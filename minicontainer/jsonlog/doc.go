// Package jsonlog writes and reads a container's output as Docker's log driver
// json-file keeps it: a line of JSON for each line of output.
//
//	{"log":"hello\n","stream":"stdout","time":"2025-06-01T12:00:00.123456789Z"}
//
//	container ──stdout──▶ pipe ──▶ shim: Splitter ──▶ Writer ──▶ ID-json.log
//	          ──stderr──▶ pipe ──▶ shim: Splitter ──┘           ID-json.log.1 (older)
//
// The file is the only meeting place of writer and readers: `logs -f` reads on
// as the file grows, and is told of it by inotify(7). A writer that dies in the
// middle of a line leaves it without a newline at its end, and readers take
// only whole lines.
//
// What this is not: no compression of old files, no labels in the lines.
package jsonlog
