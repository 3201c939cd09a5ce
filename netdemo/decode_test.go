package netdemo

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Frames as tcpdump -xx prints them.
const (
	arpRequest = "ffffffffffff 0242ac110002 0806 0001 0800 06 04 0001 0242ac110002 ac110002 000000000000 ac110003"
	icmpEcho   = "0242ac110003 0242ac110002 0800 45000054 12344000 4001 0000 ac110002 ac110003 0800 0000 0007 0001 6162"
	tcpSyn     = "0242ac110003 0242ac110002 0800 4500003c 12344000 4006 0000 ac110002 ac110003 9c40 0050 00000001 00000000 a002 ffff 0000 0000 0000000000000000000000000000000000000000"
	needFrag   = "0242ac110003 0242ac110002 0800 45000038 00000000 4001 0000 ac110001 ac110002 0304 0000 0000 05aa 45000400 00004000 4006 0000 ac110002 ac110003 00000000"
	solicit    = "3333ff000003 0242ac110002 86dd 60000000 0020 3a ff fe800000000000000000000000000002 ff0200000000000000000001ff000003 8700 0000 00000000 fe800000000000000000000000000003 0101 0242ac110002"
	dnsAnswer  = "0242ac110003 0242ac110002 0800 45000040 00000000 4011 0000 7f00000b ac110002 0035 9c40 002c 0000 0001 8180 0001 0001 0000 0000 026462 00 0001 0001 c00c 0001 0001 00000258 0004 ac110003"
)

func frame(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	must(t, err)
	return b
}

// inVXLAN wraps a frame as a host at 10.0.0.1 would for one at 10.0.0.2.
func inVXLAN(inner string) string {
	return "020000000002 020000000001 0800 45000000" + "00000000 4011 0000 0a000001 0a000002" +
		"c000 12b5 0000 0000 08000000 00002a00" + inner
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		arpRequest:    "02:42:ac:11:00:02 > ff:ff:ff:ff:ff:ff, ARP who has 172.17.0.3? tell 172.17.0.2",
		icmpEcho:      "02:42:ac:11:00:02 > 02:42:ac:11:00:03, 172.17.0.2 > 172.17.0.3 echo request id 7 seq 1",
		tcpSyn:        "02:42:ac:11:00:02 > 02:42:ac:11:00:03, TCP 172.17.0.2:40000 > 172.17.0.3:80 SYN, 0 bytes",
		needFrag:      "02:42:ac:11:00:02 > 02:42:ac:11:00:03, 172.17.0.1 > 172.17.0.2 fragmentation needed, mtu 1450 (about 172.17.0.2 > 172.17.0.3)",
		solicit:       "02:42:ac:11:00:02 > 33:33:ff:00:00:03, fe80::2 > ff02::1:ff00:3 neighbour solicitation: who has fe80::3?",
		dnsAnswer:     "02:42:ac:11:00:02 > 02:42:ac:11:00:03, UDP 127.0.0.11:53 > 172.17.0.2:40000, DNS A db. NOERROR 172.17.0.3",
		"0242":        "(ethernet cut short)",
		icmpEcho[:48]: "02:42:ac:11:00:02 > 02:42:ac:11:00:03, (ip cut short)",
	} {
		if got := Decode(frame(t, text)).String(); got != want {
			t.Errorf("Decode = %s\nwant     %s", got, want)
		}
	}
}

func TestDecodeVXLAN(t *testing.T) {
	outer := frame(t, inVXLAN(arpRequest))
	outer[16], outer[17] = byte((len(outer)-14)>>8), byte(len(outer)-14)
	p := Decode(outer)
	if p.VXLAN == nil || p.VXLAN.VNI != 42 || p.Inner.ARP == nil || p.IP.Dst.String() != "10.0.0.2" {
		t.Errorf("Decode = %s", p)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{arpRequest, icmpEcho, tcpSyn, needFrag, solicit, dnsAnswer, inVXLAN(icmpEcho)} {
		f.Add(frame(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := Decode(b); p.Cut == "" && p.Ethernet == nil {
			t.Errorf("Decode(%x) found nothing and says nothing", b)
		}
		_ = Decode(b).String()
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x00\x00\x01\x00\x01"))
	f.Add(frame(f, dnsAnswer)[42:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := parseQuery(b); err == nil {
			answerFrom(names{}, q, q.limit)
		}
		decodeDNS(b)
	})
}

func TestReverseAddr(t *testing.T) {
	for name, want := range map[string]string{
		"2.0.17.172.in-addr.arpa": "172.17.0.2",
		"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa": "fd00:1::2",
		"17.172.in-addr.arpa": "", "x.0.17.172.in-addr.arpa": "", "db": "",
	} {
		got, ok := reverseAddr(name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("reverseAddr(%s) = %v, %v; want %s", name, got, ok, want)
		}
	}
}
