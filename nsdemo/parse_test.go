package nsdemo_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/nsdemo"
)

// Captured on Linux 6.18: a program that is pid 1 of a pid namespace.
const statusText = `Name:	my prog
Umask:	0022
State:	S (sleeping)
Tgid:	4242
Pid:	4242
PPid:	4200
Uid:	1000	1000	1000	1000
Gid:	100	100	100	100
FDSize:	64
Groups:	4 24
NStgid:	4242	1
NSpid:	4242	1
SigBlk:	0000000000000000
SigIgn:	0000000000001000
SigCgt:	0000000000004002
CapInh:	0000000000000000
CapPrm:	000001ffffffffff
CapEff:	0000000000200000
CapBnd:	000001ffffffffff
CapAmb:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
Seccomp_filters:	1
`

func TestParseStatus(t *testing.T) {
	got := must(nsdemo.ParseStatus(strings.NewReader(statusText)))(t)
	want := nsdemo.Status{
		Name: "my prog", State: "S", Pid: 4242, PPid: 4200, NSpid: []int{4242, 1},
		UID: [4]int{1000, 1000, 1000, 1000}, GID: [4]int{100, 100, 100, 100}, Groups: []int{4, 24},
		SigIgn: 0x1000, SigCgt: 0x4002, CapPrm: 0x1ffffffffff, CapEff: 0x200000, CapBnd: 0x1ffffffffff,
		NoNewPrivs: true, Seccomp: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseStatus (-want +got):\n%s", diff)
	}
	if got.InnerPid() != 1 || !got.Handles(unix.SIGTERM) || got.Handles(unix.SIGHUP) {
		t.Errorf("inner pid %d, handles TERM %v, HUP %v; want 1, true, false", got.InnerPid(), got.Handles(unix.SIGTERM), got.Handles(unix.SIGHUP))
	}
	if diff := cmp.Diff([]string{"CAP_SYS_ADMIN"}, nsdemo.CapabilityNames(got.CapEff)); diff != "" {
		t.Errorf("CapabilityNames (-want +got):\n%s", diff)
	}
}

func TestParseMsgQueues(t *testing.T) {
	const text = `       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
     -1234          7   640          12          1     0     0     5     6     5     6          0          0 1700000000
`
	got := must(nsdemo.ParseMsgQueues(strings.NewReader(text)))(t)
	want := []nsdemo.MsgQueue{{Key: -1234, ID: 7, Mode: 0o640, Bytes: 12, Messages: 1, UID: 5, GID: 6}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseMsgQueues (-want +got):\n%s", diff)
	}
}

func TestParseIDMap(t *testing.T) {
	got := must(nsdemo.ParseIDMap(strings.NewReader("         0       1000          1\n         1     100000      65536\n")))(t)
	want := []nsdemo.IDMap{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 100000, Count: 65536}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseIDMap (-want +got):\n%s", diff)
	}
	for inside, want := range map[int]int{0: 1000, 1: 100000, 1000: 100999, 65536: 165535} {
		if got, ok := nsdemo.Outer(want0(t), inside); got != want || !ok {
			t.Errorf("Outer(%d) = %d, %v; want %d", inside, got, ok, want)
		}
	}
	if got, ok := nsdemo.Outer(want0(t), 65537); ok {
		t.Errorf("Outer(65537) = %d; want unmapped", got)
	}
}

func want0(t *testing.T) []nsdemo.IDMap {
	t.Helper()
	return []nsdemo.IDMap{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 100000, Count: 65536}}
}

func TestParseCgroupPaths(t *testing.T) {
	got := must(nsdemo.ParseCgroupPaths(strings.NewReader("4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/../x\n")))(t)
	want := []nsdemo.CgroupPath{
		{Hierarchy: 4, Controllers: []string{"cpu", "cpuacct"}, Path: "/a"},
		{Hierarchy: 1, Controllers: []string{"name=systemd"}, Path: "/b:c"},
		{Path: "/../x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseCgroupPaths (-want +got):\n%s", diff)
	}
}

func TestParsersRefuse(t *testing.T) {
	_, err1 := nsdemo.ParseIDMap(strings.NewReader("0 1"))
	_, err2 := nsdemo.ParseCgroupPaths(strings.NewReader("0:/"))
	_, err3 := nsdemo.ParseMsgQueues(strings.NewReader("key msqid\n1\n"))
	_, err4 := nsdemo.ParseOffsets(strings.NewReader("boottime x 0"))
	_, err5 := nsdemo.ParseStatus(strings.NewReader("Uid:\t1"))
	_, _, err6 := nsdemo.ParseLink("mnt:[12")
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err == nil || !strings.Contains(err.Error(), `"`) {
			t.Errorf("parser %d: %v; want an error that quotes the line", i+1, err)
		}
	}
}

func TestPropagationOf(t *testing.T) {
	for optional, want := range map[string]nsdemo.Propagation{
		"": "private", "shared:5": "shared", "master:5": "slave", "shared:2 master:5": "shared",
		"unbindable": "unbindable", "master:5 propagate_from:2": "slave",
	} {
		if got := nsdemo.PropagationOf(&nsdemo.Mount{Optional: optional}); got != want {
			t.Errorf("PropagationOf(%q) = %q; want %q", optional, got, want)
		}
	}
}

// fuzzParser feeds the live file of this machine and some near misses.
func fuzzParser(f *testing.F, file string, parse func(io.Reader) error, seeds ...string) {
	if text, err := os.ReadFile(file); err == nil {
		f.Add(string(text))
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := parse(strings.NewReader(text)); err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	fuzzParser(f, "/proc/self/status", func(r io.Reader) error {
		s, err := nsdemo.ParseStatus(r)
		s.InnerPid()
		return err
	}, statusText, "State:\nNSpid:\n", "Uid:\t1\t2")
}

func FuzzParseIDMap(f *testing.F) {
	fuzzParser(f, "/proc/self/uid_map", func(r io.Reader) error {
		lines, err := nsdemo.ParseIDMap(r)
		nsdemo.Outer(lines, 0)
		return err
	}, "0 0 4294967295\n", "1 2")
}

func FuzzParseMsgQueues(f *testing.F) {
	fuzzParser(f, "/proc/sysvipc/msg", func(r io.Reader) error { _, err := nsdemo.ParseMsgQueues(r); return err },
		"key msqid perms\n1 2 999\n", "\n\n")
}

func FuzzParseOffsets(f *testing.F) {
	fuzzParser(f, "/proc/self/timens_offsets", func(r io.Reader) error { _, err := nsdemo.ParseOffsets(r); return err },
		"monotonic 1 -1\n", "boottime 99999999999999999999 0\n", "x")
}

func FuzzParseCgroupPaths(f *testing.F) {
	fuzzParser(f, "/proc/self/cgroup", func(r io.Reader) error { _, err := nsdemo.ParseCgroupPaths(r); return err },
		"1:cpu:/\n", "::", "x:y:z")
}

func FuzzParseLink(f *testing.F) {
	for _, s := range []string{"mnt:[4026531832]", "time_for_children:[1]", "mnt:[]", ":[", "pid:[18446744073709551616]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, link string) {
		if k, inode, err := nsdemo.ParseLink(link); err == nil && (!k.Known() || inode == 0 && !strings.Contains(link, "0")) {
			t.Errorf("ParseLink(%q) = %q, %d", link, k, inode)
		}
	})
}
