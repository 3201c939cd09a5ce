package netdemo

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// dockerProxy starts Docker's own proxy: the same flags, the same word on descriptor 3.
func dockerProxy(b *testing.B, host *Namespace, port uint16, target netip.AddrPort) {
	b.Helper()
	path := needs.Program(b, "docker-proxy", "docker.io")
	read, write, err := os.Pipe()
	must(b, err)
	defer read.Close()
	spec := PortSpec{Proto: TCP, HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: port}
	cmd := exec.Command(path, proxyArgs(spec, target)[1:]...)
	cmd.ExtraFiles = []*os.File{write}
	// In a session of its own, as ours is and as dockerd's is: the scheduler shares the CPUs out by session.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	must(b, host.Do(cmd.Start))
	write.Close()
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	said := make([]byte, 2)
	if _, err := io.ReadFull(read, said); err != nil || said[0] != '0' {
		b.Fatalf("docker-proxy said %q, %v", said, err)
	}
}

// proxyWorld has one server in a container and three ways to it from the host: 8080 our proxy, 8081
// docker-proxy, both at 127.0.0.1; and DNAT at the host's own address.
type proxyWorld struct {
	host *Namespace
	ways map[string]string
}

func newProxyWorld(b *testing.B, handle func(*net.TCPConn)) proxyWorld {
	c := newController(b)
	n := newNetwork(b, c, NetworkSpec{Name: "bench", Proxy: true})
	newOutside(b, c.host)
	web, e := connect(b, n, "web", "127.0.0.1:8080:80", "203.0.113.1:8080:80")
	l := inHost(b, web.NS, func() (net.Listener, error) { return net.Listen("tcp", ":80") })
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go handle(conn.(*net.TCPConn))
		}
	}()
	dockerProxy(b, c.host, 8081, netip.AddrPortFrom(e.Address, 80))
	return proxyWorld{c.host, map[string]string{"ours": "127.0.0.1:8080", "docker": "127.0.0.1:8081", "dnat": "203.0.113.1:8080"}}
}

// takeTurns measures each way in short rounds, one after the other, and reports the ratios.
func (w proxyWorld) takeTurns(b *testing.B, unit string, measure func(address string) float64) {
	sums := map[string]float64{}
	order := []string{"ours", "docker", "dnat"}
	for b.Loop() {
		for _, way := range order {
			sums[way] += measure(w.ways[way])
		}
		// Whoever comes after whom must not matter.
		order = append(order[1:], order[0])
	}
	for way, sum := range sums {
		b.ReportMetric(sum/float64(b.N), way+"-"+unit)
	}
	b.ReportMetric(sums["ours"]/sums["docker"], "ours/docker")
	b.ReportMetric(sums["ours"]/sums["dnat"], "ours/dnat")
}

// BenchmarkProxyThroughput streams from the container to a client.
func BenchmarkProxyThroughput(b *testing.B) {
	chunk := make([]byte, 256<<10)
	w := newProxyWorld(b, func(c *net.TCPConn) {
		defer c.Close()
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	w.takeTurns(b, "MB/s", func(address string) float64 {
		c := dialTCP(b, w.host, address)
		defer c.Close()
		buf := make([]byte, 256<<10)
		start, got := time.Now(), 0
		for time.Since(start) < 300*time.Millisecond {
			n, err := c.Read(buf)
			must(b, err)
			got += n
		}
		return float64(got) / 1e6 / time.Since(start).Seconds()
	})
}

// BenchmarkProxyConnections makes short connections, eight at a time: one request, one answer, close.
func BenchmarkProxyConnections(b *testing.B) {
	w := newProxyWorld(b, func(c *net.TCPConn) {
		defer c.Close()
		buf := make([]byte, 512)
		if _, err := c.Read(buf); err == nil {
			c.Write(buf)
		}
	})
	w.takeTurns(b, "conn/s", func(address string) float64 {
		const workers, each = 8, 40
		start := time.Now()
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				must(b, w.host.Do(func() error { return request(address, each) }))
			})
		}
		all.Wait()
		return workers * each / time.Since(start).Seconds()
	})
}

func request(address string, times int) error {
	buf := make([]byte, 512)
	for range times {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		// Reset at the end: thousands of sockets in TIME_WAIT would use the ports up.
		c.(*net.TCPConn).SetLinger(0)
		fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		c.Close()
	}
	return nil
}
