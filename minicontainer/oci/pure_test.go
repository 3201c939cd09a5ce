package oci

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseStat(t *testing.T) {
	line := "17 (a ) (b) S 1 17 17 0 -1 4194560 6 7 0 0 0 1 0 0 20 0 1 0 291911 2387968 332"
	want := procStat{'S', 291911}
	if got, err := parseStat([]byte(line)); err != nil || got != want {
		t.Errorf("parseStat = %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "17 (x", "17 (x) S 1", "1 (x) " + strings.Repeat("y ", 30)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("parseStat(%q) is no error", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("17 (a ) (b) S 1 17 17 0 -1 4194560 6 7 0 0 0 1 0 0 20 0 1 0 291911 2387968 332"))
	f.Fuzz(func(_ *testing.T, line []byte) { parseStat(line) })
}

// TestParseSpec decodes a spec with every part and wants nothing lost.
func TestParseSpec(t *testing.T) {
	want := Example(true)
	want.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/true"}}}
	want.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	want.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}}
	want.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	want.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5}}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSpec(raw)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ParseSpec differs (-want +got):\n%s%v", diff, err)
	}
	for _, bad := range []string{"", "[]", `{"linux": {"seccomp": 5}}`, `{"mounts": {}}`} {
		if _, err := ParseSpec([]byte(bad)); err == nil {
			t.Errorf("ParseSpec(%q) is no error", bad)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	raw, _ := json.Marshal(Example(false))
	f.Add(raw)
	f.Add([]byte(`{"linux":{"namespaces":[{"type":"mount"}]}}`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if spec, err := ParseSpec(raw); err == nil {
			Validate(spec, "/")
		}
	})
}

// TestFormatSpec: what is written is what is read again.
func TestFormatSpec(t *testing.T) {
	shares, root, one := uint64(512), false, int64(1)
	full := Example(true)
	full.Hostname, full.Domainname, full.Annotations = "h", "d", map[string]string{"a": "b"}
	full.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/true", Args: []string{"true"}}}}
	full.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}, Pids: &specs.LinuxPids{Limit: &one},
		Devices: []specs.LinuxDeviceCgroup{{Allow: root, Access: "rwm"}}}
	full.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 1, Value: 2, Op: specs.OpEqualTo}}}}}
	full.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	full.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1}}
	full.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	full.Linux.RootfsPropagation, full.Linux.MountLabel, full.Linux.CgroupsPath = "slave", "l", "/c"
	for _, spec := range []*specs.Spec{full, {Version: "1.0.2", Linux: &specs.Linux{}}} {
		text, err := FormatSpec(spec)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseSpec(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(spec, got); diff != "" {
			t.Errorf("ParseSpec(FormatSpec) differs (-written +read):\n%s", diff)
		}
	}
}

func TestWriteBundle(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/rootfs", 0o755); err != nil {
		t.Fatal(err)
	}
	written, err := WriteBundle(dir, Example(true))
	if err != nil {
		t.Fatal(err)
	}
	read, err := LoadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written, read, cmpopts.IgnoreUnexported(Bundle{})); diff != "" {
		t.Errorf("LoadBundle differs from WriteBundle (-written +read):\n%s", diff)
	}
	wrong := Example(true)
	wrong.Root.Path = "/no/such/folder"
	other := t.TempDir()
	if _, err := WriteBundle(other, wrong); err == nil {
		t.Error("WriteBundle without a root = nil; want an error")
	}
	if left, _ := os.ReadDir(other); len(left) > 0 {
		t.Errorf("a refused specification left %v", left)
	}
}

func TestValidateID(t *testing.T) {
	for id, ok := range map[string]bool{"a": true, "A_b+c.d-9": true, "": false, "..": false, "a/b": false, "a b": false, "ä": false} {
		if err := ValidateID(id); (err == nil) != ok {
			t.Errorf("ValidateID(%q) = %v; want ok %t", id, err, ok)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for key, want := range map[string]string{"net.ipv4.ip_forward": "sys/net/ipv4/ip_forward", "net/ipv4/conf/eth0.1/forwarding": "sys/net/ipv4/conf/eth0.1/forwarding"} {
		if got := sysctlPath(key); got != want {
			t.Errorf("sysctlPath(%q) = %q; want %q", key, got, want)
		}
	}
}

func TestHomeOf(t *testing.T) {
	passwd := "root:x:0:0:root:/root:/bin/sh\nbroken\nu:x:1000:1000::/home/u:/bin/sh\nv:x:1001:1:::\n"
	for uid, want := range map[uint32]string{0: "/root", 1000: "/home/u", 1001: "/", 7: "/"} {
		if got := homeOf(strings.NewReader(passwd), uid); got != want {
			t.Errorf("homeOf(%d) = %q; want %q", uid, got, want)
		}
	}
}

func TestCgroupConfig(t *testing.T) {
	for path, want := range map[string][2]string{"/a/b": {"/", "a/b"}, "a/b": {"", "a/b"}, "/a//b/": {"/", "a/b"}} {
		c := cgroupConfig(path)
		if got := [2]string{c.Prefix, c.Name}; got != want {
			t.Errorf("cgroupConfig(%q) = %v; want %v", path, got, want)
		}
	}
}
