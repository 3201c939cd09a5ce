package netdemo

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/google/nftables"
	"golang.org/x/net/dns/dnsmessage"
)

// ResolverAddress is where a container finds its resolver: the line "nameserver 127.0.0.11" of its
// /etc/resolv.conf. All of 127.0.0.0/8 is the container's own loopback, so nothing need be routed.
const ResolverAddress = "127.0.0.11"

// resolverTable is the nf_tables table in the sandbox that leads port 53 to the resolver.
const resolverTable = "cutaway-dns"

// ResolverSpec says what a sandbox's resolver knows besides the names on its networks.
type ResolverSpec struct {
	Links     map[string]string // docker run --link db:database: "database" stands for the container "db"
	Upstreams []netip.AddrPort  // asked, from the host, for what is not known here; none: such names do not exist
	Timeout   time.Duration     // for one upstream; 0 is 2 s
}

// Resolver answers a sandbox's DNS queries. It serves from sockets that were opened inside the
// sandbox but belong to this process: nothing of it can be seen or killed from within.
type Resolver struct {
	c    *Controller
	sb   *Sandbox
	spec ResolverSpec
	udp  *net.UDPConn
	tcp  net.Listener
	busy sync.WaitGroup
}

// StartResolver opens the sockets at 127.0.0.11 on a port that the kernel chooses, and has nf_tables
// send port 53 there. So a container may run a name server of its own on port 53. The names are those
// of the networks that the sandbox is joined to at the time of each query.
func (c *Controller) StartResolver(sb *Sandbox, spec ResolverSpec) (*Resolver, error) {
	if spec.Timeout == 0 {
		spec.Timeout = 2 * time.Second
	}
	r := &Resolver{c: c, sb: sb, spec: spec}
	if err := SetUp(sb.NS, "lo"); err != nil {
		return nil, err
	}
	if err := sb.NS.Do(r.listen); err != nil {
		return nil, wrap("start resolver", sb.ID, errors.Join(err, r.closeSockets()))
	}
	if err := r.redirect(); err != nil {
		return nil, errors.Join(err, r.closeSockets())
	}
	r.busy.Go(r.serveUDP)
	r.busy.Go(r.serveTCP)
	return r, nil
}

func (r *Resolver) listen() error {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ResolverAddress)})
	if err != nil {
		return err
	}
	r.udp = udp
	r.tcp, err = net.Listen("tcp4", ResolverAddress+":0")
	return err
}

// redirect is "ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:PORT", and the same for TCP.
func (r *Resolver) redirect() error {
	conn, err := dialNFT(r.sb.NS)
	if err != nil {
		return err
	}
	table := conn.AddTable(tableIn(nftables.TableFamilyIPv4, resolverTable))
	conn.AddChain(&nftables.Chain{Table: table, Name: "output", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	at := netip.MustParseAddr(ResolverAddress)
	rule := func(proto Protocol, port int) plannedRule {
		return plannedRule{nftables.TableFamilyIPv4, "output", "resolver",
			join(daddr(single(at)), dport(proto, 53), dnat(netip.AddrPortFrom(at, uint16(port))))}
	}
	queueRules(conn, resolverTable, []plannedRule{
		rule(UDP, r.udp.LocalAddr().(*net.UDPAddr).Port), rule(TCP, r.tcp.Addr().(*net.TCPAddr).Port)})
	return wrap("apply rules", "resolver of "+r.sb.ID, conn.Flush())
}

// Close stops serving and removes the rules. Queries after it are refused.
func (r *Resolver) Close() error {
	err := r.closeSockets()
	r.busy.Wait()
	conn, dialErr := dialNFT(r.sb.NS)
	if dialErr != nil {
		return errors.Join(err, dialErr)
	}
	conn.DelTable(tableIn(nftables.TableFamilyIPv4, resolverTable))
	return errors.Join(err, wrap("delete table", resolverTable, conn.Flush()))
}

func (r *Resolver) closeSockets() (err error) {
	if r.udp != nil {
		err = r.udp.Close()
	}
	if r.tcp != nil {
		err = errors.Join(err, r.tcp.Close())
	}
	return err
}

func (r *Resolver) serveUDP() {
	slots := make(chan struct{}, 64) // queries that wait for an upstream
	for {
		packet := make([]byte, 4096)
		n, client, err := r.udp.ReadFromUDPAddrPort(packet)
		if err != nil {
			return
		}
		slots <- struct{}{}
		r.busy.Go(func() {
			defer func() { <-slots }()
			if answer := r.answer(packet[:n], UDP); answer != nil {
				r.udp.WriteToUDPAddrPort(answer, client)
			}
		})
	}
}

func (r *Resolver) serveTCP() {
	for {
		conn, err := r.tcp.Accept()
		if err != nil {
			return
		}
		r.busy.Go(func() {
			defer conn.Close()
			for {
				conn.SetDeadline(time.Now().Add(2 * r.spec.Timeout))
				query, err := readFramed(conn)
				if err != nil || writeFramed(conn, r.answer(query, TCP)) != nil {
					return
				}
			}
		})
	}
}

// readFramed reads a message over TCP: two bytes of length, then the message (RFC 1035, 4.2.2).
func readFramed(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeFramed(w io.Writer, message []byte) error {
	if len(message) == 0 {
		return ErrInvalid
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// answer goes: names of this sandbox's networks, then upstream, then "no such name". nil for a
// packet that is no query.
func (r *Resolver) answer(packet []byte, over Protocol) []byte {
	q, err := parseQuery(packet)
	if err != nil || q.header.Response {
		return nil
	}
	limit := q.limit
	if over == TCP {
		limit = 65535
	}
	networks, err := r.c.SandboxNetworks(r.sb.ID)
	if err != nil {
		return buildAnswer(q, dnsmessage.RCodeServerFailure, nil, limit)
	}
	if answer, known := answerFrom(names{networks, r.spec.Links}, q, limit); known {
		return answer
	}
	if len(r.spec.Upstreams) == 0 {
		return buildAnswer(q, dnsmessage.RCodeNameError, nil, limit)
	}
	for _, upstream := range r.spec.Upstreams {
		if answer, err := r.forward(packet, upstream, over); err == nil {
			return answer
		}
	}
	return buildAnswer(q, dnsmessage.RCodeServerFailure, nil, limit)
}

// forward asks an upstream from the host's namespace: from inside, a server on the host's loopback
// could not be reached.
func (r *Resolver) forward(packet []byte, upstream netip.AddrPort, over Protocol) (answer []byte, err error) {
	var conn net.Conn
	err = r.c.host.Do(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), r.spec.Timeout)
		defer cancel()
		conn, err = (&net.Dialer{}).DialContext(ctx, string(over), upstream.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(r.spec.Timeout))
	if over == TCP {
		if err := writeFramed(conn, packet); err != nil {
			return nil, err
		}
		return readFramed(conn)
	}
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	answer = make([]byte, 65535)
	n, err := conn.Read(answer)
	if err == nil && (n < 2 || answer[0] != packet[0] || answer[1] != packet[1]) {
		err = ErrInvalid // the answer to another question
	}
	return answer[:n], err
}

// names joins the networks of a sandbox and its links into one table.
type names struct {
	networks []*Network
	links    map[string]string
}

// lookup takes "db" and, to say which one is meant, "db.backend".
func (t names) lookup(name string) (addrs []netip.Addr, known bool) {
	if target, ok := t.links[name]; ok {
		name = target
	}
	for _, n := range t.networks {
		label := name
		if short, ok := strings.CutSuffix(strings.ToLower(name), "."+strings.ToLower(n.Spec.Name)); ok {
			label = short
		}
		found, ok := n.Lookup(label)
		addrs, known = append(addrs, found...), known || ok
	}
	return addrs, known
}

func (t names) nameOf(addr netip.Addr) (string, bool) {
	for _, n := range t.networks {
		if name, ok := n.NameOf(addr); ok {
			return name, true
		}
	}
	return "", false
}
