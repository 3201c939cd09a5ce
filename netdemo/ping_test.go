package netdemo

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// A ping goes one hop to a neighbour, and is captured there; a masqueraded one comes from the host.
func TestPingMasqueradeAndCaptureFile(t *testing.T) {
	host := newHost(t)
	out := newOutside(t, host)
	inside := newHost(t)
	must(t, CreateBridge(host, BridgeSpec{Name: "br-ping"}))
	must(t, AddAddress(host, "br-ping", netip.MustParsePrefix("172.25.0.1/16")))
	must(t, CreateVeth(host, VethSpec{Name: "veth-in", Peer: "eth0", PeerIn: inside, Master: "br-ping"}))
	must(t, AddAddress(inside, "eth0", netip.MustParsePrefix("172.25.0.2/16")))
	must(t, SetUp(inside, "eth0"))
	far := netip.MustParseAddr("203.0.113.2")
	if _, err := Ping(inside, far, time.Second); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("Ping without a route = %v; want ENETUNREACH", err)
	}
	must(t, AddDefaultRoute(inside, netip.MustParseAddr("172.25.0.1")))
	must(t, WriteSysctl(host, "net.ipv4.ip_forward", "1"))
	if _, err := Ping(inside, far, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Ping without masquerade = %v; want no answer", err)
	}
	must(t, Masquerade(host, "br-ping", netip.MustParsePrefix("172.25.0.0/16")))
	c, err := StartCapture(out, "eth0")
	must(t, err)
	defer c.Close()
	got, err := Ping(inside, far, time.Minute)
	if err != nil || got.From != far || got.TTL != 63 {
		t.Errorf("Ping = %+v, %v; want an answer from %s with ttl 63", got, err, far)
	}
	frames, err := c.Drain(20 * time.Millisecond)
	must(t, err)
	wantRequestFrom(t, throughFile(t, frames), "203.0.113.1")
}

// throughFile writes frames as a capture file, has tcpdump read it where there is one, and reads it back.
func throughFile(t *testing.T, frames []Frame) []Frame {
	t.Helper()
	var file bytes.Buffer
	must(t, WritePcap(&file, frames))
	path := filepath.Join(t.TempDir(), "x.pcap")
	must(t, os.WriteFile(path, file.Bytes(), 0o644))
	needs.Program(t, "tcpdump", "tcpdump")
	if text := run(t, newHost(t), "tcpdump", "-nr", path); !bytes.Contains([]byte(text), []byte("echo request")) {
		t.Errorf("tcpdump reads %q; want an echo request", text)
	}
	back, err := ReadPcap(&file)
	must(t, err)
	for i := range frames {
		if !bytes.Equal(back[i].Data, frames[i].Data) || back[i].Time.Sub(frames[i].Time).Abs() > time.Microsecond {
			t.Errorf("frame %d came back as %v; want %v", i, back[i], frames[i])
		}
	}
	return back
}

func wantRequestFrom(t *testing.T, frames []Frame, source string) {
	t.Helper()
	for _, f := range frames {
		if p := Decode(f.Data); p.ICMP != nil && p.ICMP.Type == 8 {
			if p.IP.Src.String() != source {
				t.Errorf("the request comes from %s; want %s", p.IP.Src, source)
			}
			return
		}
	}
	t.Errorf("no echo request among %d frames", len(frames))
}

func TestReadPcap(t *testing.T) {
	big := append([]byte{0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1},
		0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 9) // ... and half a header
	got, err := ReadPcap(bytes.NewReader(big))
	if diff := cmp.Diff([]Frame{{Time: time.Unix(9, 7), Data: []byte("hi")}}, got); diff != "" || err != nil {
		t.Errorf("ReadPcap of a big-endian file in nanoseconds: %v, difference\n%s", err, diff)
	}
	big[23] = 113 // LINKTYPE_LINUX_SLL
	for _, bad := range [][]byte{nil, []byte("#!/bin/sh\necho this is no capture\n"), big} {
		if _, err := ReadPcap(bytes.NewReader(bad)); !errors.Is(err, ErrInvalid) {
			t.Errorf("ReadPcap(%.20q) = %v; want ErrInvalid", bad, err)
		}
	}
}

func FuzzReadPcap(f *testing.F) {
	var seed bytes.Buffer
	if err := WritePcap(&seed, []Frame{{Data: echoRequest(1, 2)}}); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, _ := ReadPcap(bytes.NewReader(b))
		for _, fr := range frames {
			Decode(fr.Data)
		}
	})
}
