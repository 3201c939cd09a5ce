package jsonlog

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func writeLog(t *testing.T, limits Limits, lines int) string {
	t.Helper()
	path := t.TempDir() + "/log"
	w, err := Create(path, limits)
	if err != nil {
		t.Fatal(err)
	}
	s := &Splitter{Writer: w, Stream: "stdout"}
	for i := range lines {
		fmt.Fprintf(s, "line %d\n", i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := Read(path, o, func(e Entry) error { b.WriteString(e.Log); return nil }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTail(t *testing.T) {
	path := writeLog(t, Limits{}, 5000)
	for _, n := range []int{0, 1, 2, 1000, 4999, 5000, 6000} {
		got := strings.Count(read(t, path, Options{Tail: n}), "\n")
		if want := min(n, 5000); got != want {
			t.Errorf("Tail %d gives %d lines; want %d", n, got, want)
		}
	}
	if got := read(t, path, Options{Tail: 1}); got != "line 4999\n" {
		t.Errorf("the last line = %q", got)
	}
}

func TestRotationKeepsTheNewest(t *testing.T) {
	path := writeLog(t, Limits{MaxSize: 1000, MaxFile: 3}, 200)
	text := read(t, path, Options{Tail: -1})
	if !strings.HasSuffix(text, "line 199\n") || strings.Contains(text, "line 0\n") {
		t.Errorf("after rotation: %q", text)
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("a fourth file is there; want three")
	}
	one := writeLog(t, Limits{MaxSize: 1000, MaxFile: 1}, 200)
	if info, err := os.Stat(one); err != nil || info.Size() > 1000 {
		t.Errorf("one file has %d bytes, %v; want at most 1000", info.Size(), err)
	}
}

func TestLongLinesAreCutAndRestsFlushed(t *testing.T) {
	path := t.TempDir() + "/log"
	w, _ := Create(path, Limits{})
	s := &Splitter{Writer: w, Stream: "stderr"}
	long := strings.Repeat("x", maxLine+10)
	fmt.Fprint(s, long)
	s.Flush()
	w.Close()
	n := 0
	if err := Read(path, Options{Tail: -1}, func(e Entry) error { n++; return nil }); err != nil || n != 2 {
		t.Errorf("a line of %d bytes is %d entries, %v; want 2", len(long), n, err)
	}
	if got := read(t, path, Options{Tail: -1}); got != long {
		t.Error("the parts are not the whole")
	}
}

func TestHalfALineIsMended(t *testing.T) {
	path := writeLog(t, Limits{}, 1)
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"log":"torn`)
	f.Close()
	w, err := Create(path, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	w.Append(Entry{Log: "next\n", Stream: "stdout", Time: time.Now()})
	w.Close()
	if got := read(t, path, Options{Tail: -1}); got != "line 0\nnext\n" {
		t.Errorf("after a torn line: %q; want the lines around it", got)
	}
}

func TestFollowSeesWhatComesAndEnds(t *testing.T) {
	path := writeLog(t, Limits{MaxSize: 200, MaxFile: 2}, 1)
	var alive atomic.Bool
	alive.Store(true)
	go func() {
		w, _ := Create(path, Limits{MaxSize: 200, MaxFile: 2})
		for i := range 5 {
			w.Append(Entry{Log: fmt.Sprintf("more %d\n", i), Stream: "stdout", Time: time.Now()})
			time.Sleep(150 * time.Millisecond) // the reader has read it before the next rotation
		}
		w.Close()
		alive.Store(false)
	}()
	got := read(t, path, Options{Tail: -1, Follow: alive.Load})
	if want := "line 0\nmore 0\nmore 1\nmore 2\nmore 3\nmore 4\n"; got != want {
		t.Errorf("followed %q; want %q", got, want)
	}
}

func TestSinceAndUntil(t *testing.T) {
	path := t.TempDir() + "/log"
	w, _ := Create(path, Limits{})
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	for i := range 5 {
		w.Append(Entry{Log: fmt.Sprint(i), Time: at(i)})
	}
	w.Close()
	if got := read(t, path, Options{Tail: -1, Since: at(1), Until: at(3)}); got != "123" {
		t.Errorf("since 1 until 3 = %q; want 123", got)
	}
}

// Whatever is in the file, the reader neither fails nor hangs.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2020-01-01T00:00:00Z"}`+"\n"), 1)
	f.Add([]byte("\n\n{"), 3)
	f.Add([]byte{0, 0xff, '\n'}, -1)
	f.Fuzz(func(t *testing.T, content []byte, tail int) {
		path := t.TempDir() + "/log"
		os.WriteFile(path, content, 0o600)
		n := 0
		if err := Read(path, Options{Tail: tail}, func(Entry) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(content, []byte("\n")); n > lines {
			t.Errorf("%d entries of %d lines", n, lines)
		}
	})
}
