package netdemo

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSessions bounds the memory and the descriptors that strangers can make the proxy spend: UDP
	// senders are free to invent source addresses. The one that has been silent longest goes first.
	maxSessions = 1024
	// sessionIdle is docker-proxy's time after which a silent client is forgotten.
	sessionIdle = 90 * time.Second
)

// ListenUDPProxy opens the socket with IP_PKTINFO, which tells for each packet the address it was sent
// to. Answers must come from that very address, or the client drops them.
func ListenUDPProxy(network, address string) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: setOption(func(fd int) error {
		// A socket for both families takes both options, an IPv4 one only the first.
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	})}
	c, err := config.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// session is one client. UDP has no connections, so the proxy invents one: a socket of its own towards
// the container, whose port tells the answers of this client from those of others.
type session struct {
	backend *net.UDPConn
	client  netip.AddrPort
	pktinfo []byte // the control message as it came: sent back, it names our address as the source
	last    time.Time
}

type udpProxy struct {
	conn     *net.UDPConn
	target   netip.AddrPort
	mu       sync.Mutex
	sessions map[netip.AddrPort]*session
}

// ServeUDP copies datagrams between clients and target, until ctx is done.
func ServeUDP(ctx context.Context, c *net.UDPConn, target netip.AddrPort) error {
	p := &udpProxy{conn: c, target: target, sessions: map[netip.AddrPort]*session{}}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer p.closeAll()
	packet, control := make([]byte, 64<<10), make([]byte, 128)
	for {
		n, cn, _, client, err := c.ReadMsgUDPAddrPort(packet, control)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			continue // an ICMP error about an earlier answer
		}
		if s := p.session(client, control[:cn]); s != nil {
			s.backend.Write(packet[:n])
		}
	}
}

// session finds the client's session or makes one; nil when there is no socket to be had.
func (p *udpProxy) session(client netip.AddrPort, pktinfo []byte) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sessions[client]; s != nil {
		s.last = time.Now()
		return s
	}
	if len(p.sessions) >= maxSessions {
		p.evict()
	}
	backend, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.target))
	if err != nil {
		return nil
	}
	s := &session{backend: backend, client: client, pktinfo: append([]byte(nil), pktinfo...), last: time.Now()}
	p.sessions[client] = s
	go p.answer(s)
	return s
}

// evict closes the longest silent session; its answer loop then ends. The caller holds mu.
func (p *udpProxy) evict() {
	var oldest *session
	for _, s := range p.sessions {
		if oldest == nil || s.last.Before(oldest.last) {
			oldest = s
		}
	}
	delete(p.sessions, oldest.client)
	oldest.backend.Close()
}

// answer sends back what the container answers to one client, until that has been silent for long.
func (p *udpProxy) answer(s *session) {
	defer p.forget(s)
	raw, err := s.backend.SyscallConn()
	if err != nil {
		return
	}
	for {
		s.backend.SetReadDeadline(time.Now().Add(sessionIdle))
		err := readDatagram(raw, func(b []byte) {
			p.conn.WriteMsgUDPAddrPort(b, s.pktinfo, s.client)
		})
		if err == unix.ECONNREFUSED {
			continue // nobody listens in the container yet; the client may try again
		}
		if err != nil && p.idle(s) {
			return
		}
	}
}

// idle tells whether the session is over: closed, or silent in both directions.
func (p *udpProxy) idle(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[s.client] != s || time.Since(s.last) >= sessionIdle
}

func (p *udpProxy) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[s.client] == s {
		delete(p.sessions, s.client)
	}
	s.backend.Close()
}

func (p *udpProxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for client, s := range p.sessions {
		delete(p.sessions, client)
		s.backend.Close()
	}
}

// datagrams are the buffers for answers, as large as a datagram can be; one is held only while an
// answer is being passed on, so silent sessions hold none.
var datagrams = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

func readDatagram(raw syscall.RawConn, use func([]byte)) error {
	var err error
	waitErr := raw.Read(func(fd uintptr) bool {
		buf := datagrams.Get().(*[]byte)
		defer datagrams.Put(buf)
		var n int
		if n, err = unix.Read(int(fd), *buf); err == nil {
			use((*buf)[:n])
		}
		return err != unix.EAGAIN && err != unix.EINTR
	})
	if waitErr != nil {
		return waitErr
	}
	return err
}
