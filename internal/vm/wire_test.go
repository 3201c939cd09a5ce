package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFrameRoundTrip(t *testing.T) {
	want := []frame{{Kind: kindPing}, {Kind: kindData, Channel: stderr, Stream: 7, Payload: bytes.Repeat([]byte("x"), maxPayload)}}
	var wire []byte
	for _, f := range want {
		wire = appendFrame(wire, f)
	}
	r := bytes.NewReader(wire)
	for _, w := range want {
		got, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := readFrame(r); err != io.EOF {
		t.Errorf("readFrame at the end = %v; want io.EOF", err)
	}
	if _, err := readFrame(bytes.NewReader(wire[:5])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("readFrame of half a header = %v; want io.ErrUnexpectedEOF", err)
	}
}

// pair connects two links and serves both.
func pair(t *testing.T) (host, guest *stream) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	var streams []*stream
	for _, end := range []net.Conn{a, b} {
		l := newLink(end)
		s, err := l.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Open(2); err != nil {
			t.Fatal(err)
		}
		go func() { l.Fail(l.Serve(func(frame) {})) }()
		streams = append(streams, s)
	}
	return streams[0], streams[1]
}

func TestStreamCarriesMoreThanItsWindow(t *testing.T) {
	host, guest := pair(t)
	want := bytes.Repeat([]byte("0123456789"), streamWindow/2)
	go func() {
		w := writer{guest, stdout}
		w.Write(want)
		w.Close()
	}()
	got, err := io.ReadAll(host.in[stdout])
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestStalledStreamBlocksNoOther(t *testing.T) {
	host, guest := pair(t)
	stalled := make(chan int)
	go func() {
		n, _ := writer{guest, stdout}.Write(make([]byte, 10*streamWindow)) // nobody reads it
		stalled <- n
	}()
	other := guest.link.Stream(2)
	go func() { fmt.Fprint(writer{other, stdout}, "hello") }()
	buf := make([]byte, 10)
	n, err := host.link.Stream(2).in[stdout].Read(buf)
	if err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("second stream got %q, %v; want hello", buf[:n], err)
	}
	spent := func() bool {
		guest.out[stdout].mu.Lock()
		defer guest.out[stdout].mu.Unlock()
		return guest.out[stdout].left == 0
	}
	for deadline := time.Now().Add(patience); !spent() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // for more than its window, if it could
	if held := host.in[stdout].held; held > streamWindow {
		t.Errorf("%d bytes piled up; want at most %d", held, streamWindow)
	}
	guest.link.Fail(errors.New("end"))
	if n := <-stalled; n != streamWindow {
		t.Errorf("the stalled writer sent %d bytes; want its window, %d", n, streamWindow)
	}
}

func TestLinkFailureReachesReaders(t *testing.T) {
	host, guest := pair(t)
	guest.link.line.(net.Conn).Close()
	if _, err := io.ReadAll(host.in[stderr]); err != io.EOF {
		t.Logf("reader got %v", err)
	}
	if _, err := host.link.Open(9); err == nil {
		t.Error("a stream was opened on a dead line")
	}
}

func TestPanicIsFoundOnTheConsole(t *testing.T) {
	log := newConsoleLog()
	text := "[    0.1] Linux\r\nKernel panic - not syncing: said by a program\r\n" +
		"[    2.345678] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[    2.4] CPU: 0\r\n"
	for i, b := range []byte(text) {
		select {
		case <-log.panic:
			if i < strings.Index(text, "VFS") {
				t.Fatalf("panic reported after %q", text[:i])
			}
		default:
		}
		log.Write([]byte{b})
	}
	select {
	case <-log.panic:
	default:
		t.Fatal("no panic reported")
	}
	if got := log.PanicReport(); !strings.Contains(got, "VFS: Unable to mount root fs") {
		t.Errorf("PanicReport() = %q", got)
	}
	if got := log.Tail(1); got != "[    2.4] CPU: 0" {
		t.Errorf("Tail(1) = %q", got)
	}
}

func TestExplainKeepsTheCause(t *testing.T) {
	for _, r := range reasons {
		err := explain("do it", fmt.Errorf("op: %w", r.err))
		if !errors.Is(err, r.err) || !strings.Contains(err.Error(), r.try) || !strings.HasPrefix(err.Error(), "do it: op: ") {
			t.Errorf("explain(%v) = %v", r.err, err)
		}
		if again := explain("more", err); again != err {
			t.Errorf("explain of an explained error = %v; want it unchanged", again)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, frame{Kind: kindData, Stream: 1, Payload: []byte("x")}))
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := readFrame(bytes.NewReader(wire))
		if err != nil {
			return
		}
		if back := appendFrame(nil, got); !bytes.HasPrefix(wire, back) {
			t.Errorf("%x read and written is %x", wire, back)
		}
	})
}

func FuzzConsole(f *testing.F) {
	f.Add([]byte("[    2.345678] Kernel panic - not syncing: x\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		whole, parts := newConsoleLog(), newConsoleLog()
		whole.Write(text)
		if cut < 0 || cut > len(text) {
			return
		}
		parts.Write(text[:cut])
		parts.Write(text[cut:])
		if len(text) < consoleWidth && whole.Tail(5) != parts.Tail(5) {
			t.Errorf("Tail depends on how the text was cut: %q, %q", whole.Tail(5), parts.Tail(5))
		}
	})
}
