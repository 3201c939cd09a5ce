package netdemo

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParsePorts(t *testing.T) {
	any := PortSpec{}.HostIP
	local := netip.MustParseAddr("127.0.0.1")
	for text, want := range map[string][]PortSpec{
		"80":                 {{TCP, any, 0, 0, 80}},
		"8080:80":            {{TCP, any, 8080, 0, 80}},
		"8080:80/udp":        {{UDP, any, 8080, 0, 80}},
		"127.0.0.1:8080:80":  {{TCP, local, 8080, 0, 80}},
		"127.0.0.1::80":      {{TCP, local, 0, 0, 80}},
		"[::1]:8080:80":      {{TCP, netip.MustParseAddr("::1"), 8080, 0, 80}},
		"8080-8081:80-81":    {{TCP, any, 8080, 0, 80}, {TCP, any, 8081, 0, 81}},
		"80-81/tcp":          {{TCP, any, 0, 0, 80}, {TCP, any, 0, 0, 81}},
		"0:80":               {{TCP, any, 0, 0, 80}},
		"65535:65535/tcp":    {{TCP, any, 65535, 0, 65535}},
		"8080-8082:80":       {{TCP, any, 8080, 8082, 80}},
		"8080-8082:80-81":    nil,
		"":                   nil,
		"0":                  nil,
		"x:80":               nil,
		"70000:80":           nil,
		"80/icmp":            nil,
		"1.2.3:80:80":        nil,
		"81-80":              nil,
		"1:2:3:4":            nil,
		"127.0.0.1:8080:80/": nil,
	} {
		got, err := ParsePorts(text)
		if (err != nil) != (want == nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("ParsePorts(%q) = %v, %v", text, got, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err == nil && diff != "" {
			t.Errorf("ParsePorts(%q) (-want +got):\n%s", text, diff)
		}
		for _, p := range got {
			var again PortSpec
			if err := again.SetHostPorts(p.HostPorts()); err != nil || again.HostPort != p.HostPort || again.HostPortLast != p.HostPortLast {
				t.Errorf("SetHostPorts(%q) = %v, %v", p.HostPorts(), again, err)
			}
		}
	}
}

func FuzzParsePorts(f *testing.F) {
	for _, s := range []string{"80", "8080-8090:80-90/udp", "[::1]:1:2", "::", "-:-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ports, err := ParsePorts(text)
		for _, p := range ports {
			if err != nil || p.ContainerPort == 0 {
				t.Errorf("ParsePorts(%q) = %v, %v", text, ports, err)
			}
		}
	})
}

func TestValidate(t *testing.T) {
	prefix := netip.MustParsePrefix
	for text, spec := range map[string]NetworkSpec{
		"network name": {Name: "../x"},
		"bridge name":  {Name: "x", Bridge: "a-name-longer-than-15"},
		"room for":     {Name: "x", Subnet: prefix("10.0.0.0/31")},
		"gateway":      {Name: "x", Subnet: prefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.1.1")},
		"subnet6":      {Name: "x", Subnet6: prefix("10.0.0.0/24")},
		"range":        {Name: "x", Subnet: prefix("10.0.0.0/24"), Range: prefix("10.0.0.0/16")},
		"mtu":          {Name: "x", Subnet6: prefix("fd00::/64"), MTU: 1000},
	} {
		if err := spec.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("Validate = %v; want %q", err, text)
		}
	}
	good := NetworkSpec{Name: "x", Subnet: prefix("10.0.0.0/24"), Range: prefix("10.0.0.128/25"), Subnet6: prefix("fd00::/64"), MTU: 1450}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate = %v", err)
	}
	if err := (EndpointSpec{Name: "a", Aliases: []string{"a b"}}).Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("Validate = %v; want ErrInvalid", err)
	}
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]Mode{
		"none": {Kind: ModeNone}, "host": {Kind: ModeHost}, "container:web": {Kind: ModeContainer, Container: "web"},
		"bridge": {Kind: ModeBridge, Network: "bridge"}, "front": {Kind: ModeBridge, Network: "front"},
	} {
		if got, err := ParseMode(text); err != nil || got != want {
			t.Errorf("ParseMode(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "container:", "container", "a b"} {
		if _, err := ParseMode(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseMode(%q) = %v; want ErrInvalid", bad, err)
		}
	}
	if got := (Mode{Kind: ModeHost}).Namespaces(""); got != nil {
		t.Errorf("host mode has a network namespace: %v", got)
	}
	if got := (Mode{Kind: ModeContainer}).Namespaces("/proc/7/ns/net"); len(got) != 1 || got[0].Path != "/proc/7/ns/net" {
		t.Errorf("container mode = %v", got)
	}
}

func TestExplain(t *testing.T) {
	err := wrap("create vxlan", "vx0", unix.EOPNOTSUPP)
	if e := Explain(err); !strings.Contains(e.Try, "modprobe vxlan") || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("Explain = %+v", e)
	}
	if e := Explain(wrap("frob", "x", ErrPortInUse)); e.Likely == "" {
		t.Errorf("Explain = %+v", e)
	}
	if e := Explain(errors.New("other")); e.What != "other" || e.Likely != "" {
		t.Errorf("Explain = %+v", e)
	}
}

func TestParseSockets(t *testing.T) {
	const captured = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0
   1: 021211AC:0050 010011AC:9C40 01 00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 20 4 30 10 -1
`
	got, err := parseSockets(strings.NewReader(captured), TCP)
	must(t, err)
	if len(got) != 2 || got[0].Local.String() != "127.0.0.1:8080" || got[0].State != "LISTEN" || got[0].Inode != 12345 ||
		got[1].Remote.String() != "172.17.0.1:40000" || got[1].State != "ESTABLISHED" {
		t.Errorf("parseSockets = %+v", got)
	}
	if _, err := parseSockets(strings.NewReader("head\nshort line\n"), TCP); !errors.Is(err, ErrInvalid) {
		t.Errorf("parseSockets = %v; want ErrInvalid", err)
	}
}

func FuzzParseSockets(f *testing.F) {
	f.Add("h\n 0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 12345 1\n")
	f.Add("h\n 0: 00000000000000000000000001000000:0016 0:0 0A 0 0 0 0 0 1\n")
	f.Fuzz(func(t *testing.T, text string) { parseSockets(strings.NewReader(text), TCP) })
}

func TestParseStartTime(t *testing.T) {
	stat := "77 (a) b c) S 1 77 77 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 5 0 4242 1000 200 184"
	if got, err := parseStartTime(stat); err != nil || got != 4242 {
		t.Errorf("parseStartTime = %d, %v; want 4242", got, err)
	}
	if _, err := parseStartTime("77 (x"); err == nil {
		t.Error("parseStartTime took a broken line")
	}
}

func TestResolvConf(t *testing.T) {
	got, err := ParseUpstreams(strings.NewReader("# c\nnameserver 10.0.0.2\nsearch x\nnameserver fe80::1%eth0\nnameserver nonsense\n"))
	if err != nil || len(got) != 2 || got[0].String() != "10.0.0.2:53" {
		t.Errorf("ParseUpstreams = %v, %v", got, err)
	}
	if text := ResolvConf([]string{"lab"}); text != "nameserver 127.0.0.11\nsearch lab\noptions ndots:0\n" {
		t.Errorf("ResolvConf = %q", text)
	}
	hosts := HostsFile("web", netip.MustParseAddr("172.17.0.2"), map[string]netip.Addr{"database": netip.MustParseAddr("172.17.0.3")})
	if !strings.Contains(hosts, "172.17.0.3\tdatabase\n") || !strings.HasSuffix(hosts, "172.17.0.2\tweb\n") {
		t.Errorf("HostsFile = %q", hosts)
	}
}
