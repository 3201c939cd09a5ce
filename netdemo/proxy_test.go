package netdemo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// inHost listens and dials in a host's namespace.
func inHost[T any](t testing.TB, ns *Namespace, open func() (T, error)) T {
	t.Helper()
	var got T
	must(t, ns.Do(func() (err error) { got, err = open(); return err }))
	return got
}

func dialTCP(t testing.TB, ns *Namespace, address string) *net.TCPConn {
	return inHost(t, ns, func() (*net.TCPConn, error) {
		c, err := net.DialTimeout("tcp", address, time.Minute)
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	})
}

// proxyTo starts a proxy process on 127.0.0.1:8080 to a server on 127.0.0.1:80 that handle serves.
func proxyTo(t testing.TB, handle func(*net.TCPConn)) (*Namespace, ProxyProcess) {
	host := newHost(t)
	l := inHost(t, host, func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:80") })
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c.(*net.TCPConn))
		}
	}()
	spec := PortSpec{Proto: TCP, HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8080}
	return host, startProxy(t, host, spec, netip.MustParseAddrPort("127.0.0.1:80"))
}

// startProxy starts a proxy process that ends with the test, however that ends: by itself it would
// outlive this program.
func startProxy(t testing.TB, host *Namespace, spec PortSpec, target netip.AddrPort) ProxyProcess {
	t.Helper()
	p, err := StartProxy(host, spec, target)
	must(t, err)
	t.Cleanup(func() { must(t, p.Stop()) })
	return p
}

func echo(c *net.TCPConn) {
	defer c.Close()
	io.Copy(c, c)
}

// TestProxyHalfClose: the client ends its side first and still gets the whole answer, which the
// server begins only when it has seen the end.
func TestProxyHalfClose(t *testing.T) {
	for _, size := range []int{10, firstTalk - 1, firstTalk, 3 << 20} {
		host, _ := proxyTo(t, func(c *net.TCPConn) {
			defer c.Close()
			got, _ := io.ReadAll(c)
			c.Write(bytes.ToUpper(got))
		})
		c := dialTCP(t, host, "127.0.0.1:8080")
		_, err := c.Write(bytes.Repeat([]byte("a"), size))
		must(t, err)
		must(t, c.CloseWrite())
		c.SetDeadline(time.Now().Add(time.Minute))
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("A"), size)) {
			t.Errorf("size %d: %d bytes, %v", size, len(got), err)
		}
		c.Close()
	}
}

// TestProxyServerFirst: the server ends first; what the client sends afterwards must not hang.
func TestProxyServerFirst(t *testing.T) {
	host, _ := proxyTo(t, func(c *net.TCPConn) { c.Write([]byte("bye")); c.Close() })
	c := dialTCP(t, host, "127.0.0.1:8080")
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if got, err := io.ReadAll(c); err != nil || string(got) != "bye" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestProxyRefused: nobody listens in the container, so the client sees a reset and no empty answer.
func TestProxyRefused(t *testing.T) {
	host := newHost(t)
	p := startProxy(t, host, PortSpec{Proto: TCP, HostPort: 8080}, netip.MustParseAddrPort("127.0.0.1:80"))
	// The reset may be there before the client's connect has returned.
	if _, err := ask(host, "127.0.0.1:8080", time.Minute); err == nil || err == io.EOF {
		t.Errorf("ask = %v; want a reset", err)
	}
	must(t, p.Stop())
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/ns", p.Pid)); err == nil {
		t.Error("the proxy is still there")
	}
}

func TestProxyPortTaken(t *testing.T) {
	host := newHost(t)
	l := inHost(t, host, func() (net.Listener, error) { return net.Listen("tcp", ":8080") })
	defer l.Close()
	p, err := StartProxy(host, PortSpec{Proto: TCP, HostPort: 8080}, netip.MustParseAddrPort("127.0.0.1:80"))
	if !errors.Is(err, ErrPortInUse) {
		t.Errorf("StartProxy = %v; want ErrPortInUse", err)
		p.Stop()
	}
}

// TestProxyMany holds many connections open at once and looks at the proxy's memory.
func TestProxyMany(t *testing.T) {
	host, p := proxyTo(t, echo)
	var conns []*net.TCPConn
	for i := range 400 {
		c := dialTCP(t, host, "127.0.0.1:8080")
		defer c.Close()
		_, err := fmt.Fprintf(c, "%04d", i)
		must(t, err)
		conns = append(conns, c)
	}
	for i, c := range conns {
		b := make([]byte, 4)
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != fmt.Sprintf("%04d", i) {
			t.Fatalf("connection %d: %q, %v", i, b, err)
		}
	}
	if kb := residentKB(t, p.Pid); kb > 40<<10 {
		t.Errorf("%d idle connections cost %d kB", len(conns), kb)
	} else {
		t.Logf("%d idle connections: %d kB resident", len(conns), kb)
	}
}

func residentKB(t testing.TB, pid int) (kb int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	fmt.Sscan(rest, &kb)
	return kb
}

// TestProxySlowReader: a reader that does not read must hold the sender up, not fill the memory.
func TestProxySlowReader(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	host, p := proxyTo(t, func(c *net.TCPConn) { <-stop; c.Close() })
	c := dialTCP(t, host, "127.0.0.1:8080")
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	n, err := c.Write(make([]byte, 256<<20))
	if err == nil {
		t.Error("256 MB went into a connection that nobody reads")
	}
	if kb := residentKB(t, p.Pid); kb > 40<<10 {
		t.Errorf("the proxy has %d kB after %d bytes", kb, n)
	}
}

func TestProxyUDP(t *testing.T) {
	host := newHost(t)
	must(t, AddAddress(host, "lo", netip.MustParsePrefix("192.0.2.9/32")))
	server := inHost(t, host, func() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:53") })
	defer server.Close()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo(bytes.ToUpper(b[:n]), from)
		}
	}()
	startProxy(t, host, PortSpec{Proto: UDP, HostPort: 5353}, netip.MustParseAddrPort("127.0.0.1:53"))
	var all sync.WaitGroup
	for i := range 50 {
		// A connected socket takes answers only from the address that it sent to.
		c := inHost(t, host, func() (net.Conn, error) {
			return net.Dial("udp", []string{"127.0.0.1:5353", "192.0.2.9:5353", "[::1]:5353"}[i%3])
		})
		all.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			fmt.Fprintf(c, "q%d", i)
			b := make([]byte, 100)
			if n, err := c.Read(b); err != nil || string(b[:n]) != fmt.Sprintf("Q%d", i) {
				t.Errorf("client %d: %q, %v", i, b[:n], err)
			}
		})
	}
	all.Wait()
}

// TestUDPSessionsBounded: more clients than sessions; the proxy keeps serving the new ones.
func TestUDPSessionsBounded(t *testing.T) {
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	conn, err := ListenUDPProxy("udp4", "127.0.0.1:0")
	must(t, err)
	defer conn.Close()
	p := &udpProxy{conn: conn, target: server.LocalAddr().(*net.UDPAddr).AddrPort(), sessions: map[netip.AddrPort]*session{}}
	defer p.closeAll()
	first := netip.MustParseAddrPort("192.0.2.1:1")
	for i := range maxSessions + 5 {
		if s := p.session(netip.AddrPortFrom(first.Addr(), uint16(i+1)), nil); s == nil {
			t.Fatalf("no session for client %d", i)
		}
	}
	if p.sessions[first] != nil || len(p.sessions) != maxSessions {
		t.Errorf("%d sessions, the oldest among them: %v", len(p.sessions), p.sessions[first] != nil)
	}
}

func TestServeTCPStops(t *testing.T) {
	l, err := ListenTCPProxy("tcp4", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := ServeTCP(ctx, l, netip.MustParseAddrPort("127.0.0.1:1")); err != nil {
		t.Errorf("ServeTCP = %v; want nil", err)
	}
}

func TestStopProxies(t *testing.T) {
	host, other := newHost(t), newHost(t)
	spec, target := PortSpec{Proto: TCP, HostPort: 8080}, netip.MustParseAddrPort("127.0.0.1:80")
	startProxy(t, host, spec, target)
	kept := startProxy(t, other, spec, target)
	must(t, StopProxies(host))
	startProxy(t, host, spec, target) // the port is free again
	must(t, StopProxies(host))
	stranger := kept
	stranger.Start++
	must(t, stranger.Stop())
	if _, err := startTime(kept.Pid); err != nil {
		t.Error("a process with another start time was ended")
	}
}
