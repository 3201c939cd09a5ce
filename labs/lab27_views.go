package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

// readRecords reads the controller's folder, file by file.
func readRecords(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return []evidence.Fact{
		evidence.F("controller", "ls state", listing(b.Path("state"))),
		record(b, "network front", "state/networks/front.json", func(n netdemo.Network) string {
			return n.Spec.Subnet.String() + " on " + n.Spec.Bridge
		}),
		record(b, "endpoint web", "state/endpoints/front/web.json", func(e netdemo.Endpoint) string {
			return e.Name + " " + e.Address.String() + " " + e.MAC
		}),
		claim(b, "lease 172.17.0.1", "state/pools/172.17.0.0_16/172.17.0.1"),
		claim(b, "lease "+cnmWeb, "state/pools/172.17.0.0_16/"+cnmWeb),
		claim(b, "sandbox web on front", "state/sandboxes/web/front"),
	}, nil
}

func listing(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return evidence.Absent
	}
	if len(entries) == 0 {
		return "an empty folder"
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// record reads an object from its file.
func record[T any](b *bench.Bench, name, path string, words func(T) string) evidence.Fact {
	var object T
	text, err := os.ReadFile(b.Path(path))
	if err != nil || json.Unmarshal(text, &object) != nil {
		return evidence.F(name, "cat "+path, evidence.Absent)
	}
	return evidence.F(name, "cat "+path, words(object))
}

// claim reads who holds a name: a symbolic link is made or fails in one step,
// so two takers never get the same.
func claim(b *bench.Bench, name, path string) evidence.Fact {
	holder, err := os.Readlink(b.Path(path))
	if err != nil {
		holder = evidence.Absent
	}
	return evidence.F(name, "readlink "+path, holder)
}

// readKernelSide reads what there is of the objects in the kernel.
func readKernelSide(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	host := n[theHost]
	state, err := stateWords(host, frontLink)
	if err != nil {
		return nil, err
	}
	rules, err := netdemo.Rules(host)
	if err != nil {
		return nil, err
	}
	naming := 0
	for _, r := range rules {
		if strings.Contains(r.Text, `"`+frontLink+`"`) {
			naming++
		}
	}
	ports, err := portNames(host, frontLink)
	facts := []evidence.Fact{
		evidence.F("bridge", "ip address show dev "+frontLink, state),
		evidence.F("rules that name the bridge", "nft list ruleset", fmt.Sprint(naming)),
		evidence.F("ports of the bridge", "ip link show master "+frontLink, ports),
	}
	if n[web] == nil || err != nil {
		return facts, err
	}
	inside, err := sandboxFacts(n)
	return append(facts, inside...), err
}

func portNames(host *netdemo.Namespace, bridge string) (string, error) {
	ports, err := netdemo.BridgePorts(host, bridge)
	if err != nil {
		return "none", nil // no bridge, no ports
	}
	return portWords(ports), nil
}

// sandboxFacts are what web's namespace has, and where its link leads.
func sandboxFacts(n nets) ([]evidence.Fact, error) {
	inode, err := n[web].Inode()
	if err != nil {
		return nil, err
	}
	links, err := linkWords(n[web])
	if err != nil {
		return nil, err
	}
	state, err := stateWords(n[web], "eth0")
	facts := []evidence.Fact{
		evidence.F("namespace of the sandbox", "stat -Lc %i /run/netns/web", fmt.Sprint(inode)),
		evidence.F("links in the sandbox", "ip -n web link", links),
		evidence.F("eth0 in the sandbox", "ip -n web address show dev eth0", state),
	}
	eth0, linkErr := netdemo.LinkByName(n[web], "eth0")
	if linkErr != nil || err != nil {
		return facts, err
	}
	_, other, err := netdemo.Peer(n[web], eth0, []*netdemo.Namespace{n[theHost]})
	if err != nil {
		return facts, err
	}
	route, err := netdemo.RouteTo(n[web], addr("198.51.100.1"))
	return append(facts,
		evidence.F("MAC of eth0", "ip -n web link show dev eth0", eth0.MAC.String()),
		evidence.F("other end of eth0", "ip -n web link show dev eth0; ip link", other.Name),
		evidence.F("default route of the sandbox", "ip -n web route get 198.51.100.1", route.Gateway.String())), err
}

// readDropped finds the rules that stand between bridges, with their counters.
func readDropped(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	rules, err := netdemo.Rules(n[theHost])
	var packets uint64
	text := evidence.Absent
	for _, r := range rules {
		if r.Chain == "isolate-2" && strings.Contains(r.Text, "br-back") {
			text = r.Text
		}
		if r.Chain == "isolate-2" {
			packets += r.Packets
		}
	}
	from := "nft list chain ip cutaway isolate-2"
	return []evidence.Fact{
		evidence.F("rule before br-back", from, text),
		evidence.F("packets dropped between bridges", from, fmt.Sprint(packets)),
	}, err
}

// readResolver shows whom the container asks, and who that is.
func readResolver(_ context.Context, b *bench.Bench, n nets) ([]evidence.Fact, error) {
	pid, err := b.Pid(web)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{nameserver(fmt.Sprintf("/proc/%d/root/etc/resolv.conf", pid))}
	rules, err := netdemo.Rules(n[web])
	if err != nil {
		return facts, err
	}
	for _, r := range rules {
		if strings.Contains(r.Text, "udp dport 53") {
			facts = append(facts, evidence.F("rule in the container", enterNet(web)+" nft list ruleset", r.Text))
		}
	}
	server, err := serverFacts(n[web])
	return append(facts, server...), err
}

func nameserver(path string) evidence.Fact {
	f, err := os.Open(path)
	if err != nil {
		return evidence.F("nameserver", path, evidence.Absent)
	}
	defer f.Close()
	servers, err := netdemo.ParseUpstreams(f)
	if err != nil || len(servers) == 0 {
		return evidence.F("nameserver", path, evidence.Absent)
	}
	return evidence.F("nameserver", path, servers[0].Addr().String())
}

// serverFacts finds the process that has the resolver's socket open. The socket
// is of the container's namespace, the process is not.
func serverFacts(ns *netdemo.Namespace) ([]evidence.Fact, error) {
	sockets, err := netdemo.Sockets(ns)
	for _, s := range sockets {
		if s.Proto != netdemo.UDP || s.Local.Addr() != addr(netdemo.ResolverAddress) {
			continue
		}
		facts := []evidence.Fact{evidence.F("socket in the container", enterNet(web)+" cat /proc/net/udp", s.Local.String())}
		owner, err := netdemo.SocketOwner(s.Inode)
		if err != nil {
			return facts, err
		}
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", owner.Pid))
		inode, inodeErr := ns.Inode()
		return append(facts,
			evidence.F("process that answers", fmt.Sprintf("/proc/%d/fd", owner.Pid), fmt.Sprintf("%d %s", owner.Pid, owner.Command)),
			evidence.F("namespace of the process that answers", fmt.Sprintf("readlink /proc/%d/ns/net", owner.Pid), theirs),
			evidence.F("namespace of the container", "stat -Lc %i /run/netns/web", fmt.Sprintf("net:[%d]", inode))), errors.Join(err, inodeErr)
	}
	return nil, err
}

func readNames(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	return []evidence.Fact{
		looked(n, web, db), askedByName(n, web, db), looked(n, web, far), looked(n, far, db),
	}, nil
}

// readLink reads the hosts files, and what comes of the address in web's.
func readLink(_ context.Context, b *bench.Bench, n nets) ([]evidence.Fact, error) {
	facts := []evidence.Fact{hostsEntry(b, web, "database in /etc/hosts")}
	if address := facts[0].Value(); address != evidence.Absent {
		facts = append(facts, evidence.F("web asks for the address of database", enterNet(web)+" curl -s "+address, fetch(n[web], address, webPatience)))
	}
	return append(facts, looked(n, web, "database"), hostsEntry(b, db, "database in /etc/hosts of db")), nil
}

// hostsEntry finds the address of "database" in a container's hosts file.
func hostsEntry(b *bench.Bench, box, name string) evidence.Fact {
	pid, _ := b.Pid(box)
	path := filepath.Join("/proc", pidOr(pid), "root/etc/hosts")
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[1] == "database" {
			return evidence.F(name, path, words[0])
		}
	}
	return evidence.F(name, path, evidence.Absent)
}

func readSandbox(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, link := range []string{"eth0", "eth1"} {
		state, err := stateWords(n[web], link)
		if err != nil {
			return facts, err
		}
		facts = append(facts, evidence.F(link, "ip -n web address show dev "+link, state))
	}
	return facts, nil
}

// readDiagnosis walks the way from web to db. Each piece is a fact; the broken
// one comes last, since what is behind it cannot be judged.
func readDiagnosis(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	way, err := netdemo.Diagnose(netdemo.Path{From: n[web], Host: n[theHost], To: n[db], Dst: addrPort(cnmDB + ":80")})
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	seen := map[string]bool{}
	for _, f := range way {
		name := f.Step + " in " + f.Where
		if seen[name] || f.Outcome == netdemo.Broken {
			continue
		}
		seen[name] = true
		facts = append(facts, evidence.F(name, f.Found, string(f.Outcome)))
	}
	if broken := way.Broken(); broken != nil {
		facts = append(facts,
			evidence.F("broken piece", broken.Step+" in "+broken.Where, broken.Found),
			evidence.F("to do", broken.Step+" in "+broken.Where, broken.Try))
	}
	return facts, nil
}
