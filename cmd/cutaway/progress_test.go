package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image/registry"
)

// TestProgressOnTerminal plays a pull of two layers on a terminal, and looks at
// the screen that comes of it.
func TestProgressOnTerminal(t *testing.T) {
	front, back, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	a, b := digest.FromString("a"), digest.FromString("b")
	p := newLayerProgress(back)
	for _, r := range []registry.Progress{
		{Layer: a, State: registry.Waiting}, {Layer: b, State: registry.Waiting},
		{Layer: a, State: registry.Downloading, Current: 500, Total: 1000},
		{Layer: b, State: registry.Downloading, Current: 10, Total: 1000},
		{Layer: a, State: registry.PullDone}, {Layer: b, State: registry.PullDone},
	} {
		p.report(r)
	}
	back.Close()
	raw, _ := io.ReadAll(front) // ends with EIO once the other side is closed
	half := shortID(a) + ": Downloading [" + strings.Repeat("=", 25) + ">" + strings.Repeat(" ", 24) + "]     500B/1kB"
	if !bytes.Contains(raw, []byte(half)) {
		t.Errorf("output %q; want %q in it", raw, half)
	}
	want := shortID(a) + ": Pull complete\n" + shortID(b) + ": Pull complete"
	if got := screen(string(raw)); got != want {
		t.Errorf("at the end the screen shows %q; want %q", got, want)
	}
}

// screen plays the few escape sequences that are used: up, down, erase the line.
func screen(raw string) string {
	lines, row := []string{""}, 0
	for _, m := range regexp.MustCompile("\x1b\\[(\\d*)([ABK])|\r|\n|[^\x1b\r\n]+").FindAllStringSubmatch(raw, -1) {
		n := len(m[1]) // one digit is a number below ten
		if n > 0 {
			n = int(m[1][0] - '0')
		}
		switch {
		case m[2] == "A":
			row -= n
		case m[2] == "B":
			row += n
		case m[2] == "K":
			lines[row] = ""
		case m[0] == "\n":
			if row++; row == len(lines) {
				lines = append(lines, "")
			}
		case m[0] != "\r":
			lines[row] += m[0]
		}
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// TestProgressElsewhere: a line for each change of state, none for bytes.
func TestProgressElsewhere(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	a := digest.FromString("a")
	p := newLayerProgress(f)
	for _, s := range []registry.State{registry.Waiting, registry.Downloading, registry.Downloading, registry.Downloaded, registry.Extracting, registry.PullDone} {
		p.report(registry.Progress{Layer: a, State: s, Current: 1, Total: 2})
	}
	got, _ := os.ReadFile(f.Name())
	id := shortID(a)
	if want := id + ": Pulling fs layer\n" + id + ": Download complete\n" + id + ": Pull complete\n"; string(got) != want {
		t.Errorf("output %q; want %q", got, want)
	}
}
