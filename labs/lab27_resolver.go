package labs

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// etcOfWeb is the folder in the scratch folder that web has as its /etc. Docker does
// so file by file: what a container sees as /etc/hosts is a file in the engine's state
// folder. Nothing is ever written to an /etc by its name: without the mount that
// would be the real machine's.
const etcOfWeb = "etc-of-web"

// startResolvers gives containers a resolver each, and web the files that lead
// to it, in a mount of web's own.
func startResolvers(ctx context.Context, b *bench.Bench) error {
	if err := os.MkdirAll(b.Path(etcOfWeb), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(b.Path(etcOfWeb, "resolv.conf"), []byte(netdemo.ResolvConf(nil)), 0o644); err != nil {
		return err
	}
	p, err := b.Inside(ctx, web)
	if err != nil {
		return err
	}
	if err := p.Mount(ctx, nsdemo.MountRequest{Source: b.Path(etcOfWeb), Target: "/etc", Options: []string{"bind"}}); err != nil {
		return err
	}
	for _, name := range []string{web, far} {
		if err := startResolver(b, name); err != nil {
			return err
		}
	}
	return nil
}

// startResolver serves a container's queries until the bench is cleared. The
// resolver lives in this process, so the handles that it works with stay open.
func startResolver(b *bench.Bench, name string) error {
	host, err := openNet(b, theHost)
	if err != nil {
		return err
	}
	ns, err := openNet(b, name)
	if err != nil {
		return errors.Join(err, host.Close())
	}
	c, err := controller(b, nets{theHost: host})
	if err == nil {
		var r *netdemo.Resolver
		if r, err = c.StartResolver(&netdemo.Sandbox{ID: name, NS: ns}, netdemo.ResolverSpec{}); err == nil {
			return b.Keep("resolver-of-"+name, resolverSubject{r, host, ns})
		}
	}
	return errors.Join(err, host.Close(), ns.Close())
}

// resolverSubject is a resolver on the bench, with the handles that it needs.
type resolverSubject struct {
	resolver *netdemo.Resolver
	host, ns *netdemo.Namespace
}

// Pid is this process: the resolver is a part of the engine.
func (r resolverSubject) Pid() int { return os.Getpid() }

func (r resolverSubject) Close() error {
	return errors.Join(r.resolver.Close(), r.host.Close(), r.ns.Close())
}

// looked is a fact: what the resolver of a container answers for a name.
func looked(n nets, from, name string) evidence.Fact {
	words := evidence.Absent
	if n[from] != nil {
		words = lookUp(n[from], name)
	}
	return evidence.F(from+" looks up "+name, enterNet(from)+" nslookup "+name+" "+netdemo.ResolverAddress, words)
}

// lookUp sends one query to port 53 of the resolver's address, as every program
// in the container would, and puts the answer into words.
func lookUp(ns *netdemo.Namespace, name string) string {
	answer, err := query(ns, name)
	if err != nil {
		return noAnswer(err)
	}
	words := []string{strings.ToUpper(strings.TrimPrefix(answer.RCode.String(), "RCode"))}
	if answer.RCode == dnsmessage.RCodeSuccess {
		words[0] = "NOERROR"
	} else if answer.RCode == dnsmessage.RCodeNameError {
		words[0] = "NXDOMAIN"
	}
	for _, record := range answer.Answers {
		if a, ok := record.Body.(*dnsmessage.AResource); ok {
			words = append(words, netip.AddrFrom4(a.A).String())
		}
	}
	return strings.Join(words, " ")
}

func query(ns *netdemo.Namespace, name string) (dnsmessage.Message, error) {
	var answer dnsmessage.Message
	label, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return answer, err
	}
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: label, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	packed, err := question.Pack()
	if err != nil {
		return answer, err
	}
	var c net.Conn
	err = ns.Do(func() (err error) {
		c, err = net.Dial("udp4", netdemo.ResolverAddress+":53")
		return err
	})
	if err != nil {
		return answer, err
	}
	defer c.Close()
	if _, err := c.Write(packed); err != nil {
		return answer, err
	}
	c.SetReadDeadline(time.Now().Add(serverPatience)) // nobody at the port: refused at once
	packet := make([]byte, 512)
	size, err := c.Read(packet)
	if err != nil {
		return answer, err
	}
	return answer, answer.Unpack(packet[:size])
}

// askedByName looks the name up and asks the web server at what comes back.
func askedByName(n nets, from, name string) evidence.Fact {
	words := evidence.Absent
	if n[from] != nil {
		words = lookUp(n[from], name)
		if address, ok := strings.CutPrefix(words, "NOERROR "); ok {
			words = fetch(n[from], address, webPatience)
		}
	}
	return evidence.F(from+" asks "+name+" by name", enterNet(from)+" curl -s "+name, words)
}
