package bundle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
	"cutaway/minicontainer/oci"
	"cutaway/minicontainer/oci/seccomp"
)

func container() *minicontainer.Container {
	c := &minicontainer.Container{ID: strings.Repeat("a", 64), Name: "/c", Path: "sh", HostnamePath: "/h", HostsPath: "/ho", ResolvConfPath: "/r"}
	c.HostConfig.NetworkMode = "none"
	return c
}

func make1(t *testing.T, c *minicontainer.Container) *specs.Spec {
	t.Helper()
	root := t.TempDir()
	s, err := Make(c, Facts{Rootfs: root, Cgroup: "/x/y"})
	if err != nil {
		t.Fatal(err)
	}
	if err := oci.Validate(s, root); err != nil {
		t.Errorf("the runtime would refuse it: %v", err)
	}
	return s
}

func TestDefaultsAreWalls(t *testing.T) {
	s := make1(t, container())
	if got := len(s.Process.Capabilities.Bounding); got != 14 {
		t.Errorf("%d capabilities; want Docker's 14", got)
	}
	if s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction != specs.ActErrno {
		t.Error("no seccomp filter that refuses what it does not know")
	}
	if !slices.Contains(s.Linux.MaskedPaths, "/proc/kcore") || !slices.Contains(s.Linux.ReadonlyPaths, "/proc/sys") {
		t.Error("/proc/kcore and /proc/sys are in reach")
	}
	if s.Linux.Resources.Devices[0].Allow {
		t.Error("devices are allowed to begin with")
	}
	for _, kind := range []specs.LinuxNamespaceType{"mount", "pid", "network", "ipc", "uts"} {
		if !slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind && n.Path == "" }) {
			t.Errorf("no new namespace of kind %s", kind)
		}
	}
}

func TestPrivilegedTakesThemDown(t *testing.T) {
	c := container()
	c.HostConfig.Privileged = true
	s := make1(t, c)
	if len(s.Process.Capabilities.Bounding) != len(allCapabilities) || s.Linux.Seccomp != nil || s.Linux.MaskedPaths != nil ||
		!s.Linux.Resources.Devices[0].Allow {
		t.Error("--privileged leaves a wall standing")
	}
}

func TestCapabilities(t *testing.T) {
	for _, tt := range []struct {
		add, drop []string
		has, not  string
		n         int
	}{
		{nil, nil, "CAP_CHOWN", "CAP_SYS_ADMIN", 14},
		{[]string{"sys_admin"}, nil, "CAP_SYS_ADMIN", "CAP_BPF", 15},
		{[]string{"NET_ADMIN"}, []string{"ALL"}, "CAP_NET_ADMIN", "CAP_CHOWN", 1},
		{[]string{"ALL"}, []string{"CAP_CHOWN"}, "CAP_SYS_ADMIN", "CAP_CHOWN", 40},
		{nil, []string{"chown"}, "CAP_KILL", "CAP_CHOWN", 13},
	} {
		got, err := capabilities(tt.add, tt.drop, false, nil)
		if err != nil || len(got) != tt.n || !slices.Contains(got, tt.has) || slices.Contains(got, tt.not) {
			t.Errorf("capabilities(+%v -%v) = %v, %v; want %d with %s without %s", tt.add, tt.drop, got, err, tt.n, tt.has, tt.not)
		}
	}
	if err := CheckCapabilities([]string{"nonsense"}, nil); err == nil {
		t.Error("an unknown capability is no error")
	}
}

func TestDefaultFilterCompilesAndDependsOnCapabilities(t *testing.T) {
	s := &security{profile: defaultProfile()}
	plain, err := s.filter(defaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seccomp.Compile(plain); err != nil {
		t.Fatal(err)
	}
	admin, _ := s.filter(append(slices.Clone(defaultCapabilities), "CAP_SYS_ADMIN"))
	allows := func(f *specs.LinuxSeccomp, call string) bool {
		return slices.ContainsFunc(f.Syscalls, func(r specs.LinuxSyscall) bool {
			return r.Action == specs.ActAllow && len(r.Args) == 0 && slices.Contains(r.Names, call)
		})
	}
	if allows(plain, "mount") || !allows(admin, "mount") || allows(plain, "clone") || !allows(plain, "chroot") {
		t.Error("mount must need CAP_SYS_ADMIN, clone must look at its flags, chroot is allowed")
	}
	seen := map[string]bool{}
	for _, call := range allowedCalls {
		if seen[call] {
			t.Errorf("%s is listed twice", call)
		}
		seen[call] = true
	}
}

func TestLookupUser(t *testing.T) {
	root := t.TempDir()
	os.Mkdir(filepath.Join(root, "etc"), 0o755)
	os.WriteFile(root+"/etc/passwd", []byte("root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/:/bin/sh\nbroken\n"), 0o644)
	os.WriteFile(root+"/etc/group", []byte("staff:x:50:bob,ann\nwheel:x:10:\n"), 0o644)
	for text, want := range map[string]specs.User{
		"":          {AdditionalGids: []uint32{0}},
		"ann":       {UID: 1000, GID: 1001, AdditionalGids: []uint32{50, 1001}},
		"1000":      {UID: 1000, GID: 1001, AdditionalGids: []uint32{50, 1001}},
		"ann:wheel": {UID: 1000, GID: 10, AdditionalGids: []uint32{10}},
		"4242":      {UID: 4242, AdditionalGids: []uint32{0}},
		"4242:77":   {UID: 4242, GID: 77, AdditionalGids: []uint32{77}},
	} {
		got, err := LookupUser(root, text, nil)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("LookupUser(%q): %v\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"nobody-here", "ann:nogroup"} {
		if _, err := LookupUser(root, text, nil); err == nil {
			t.Errorf("LookupUser(%q) is no error", text)
		}
	}
}

// An image's files cannot lead the look-up out of its root, nor hold it up.
func TestLookupUserInAHostileImage(t *testing.T) {
	root := t.TempDir()
	os.Symlink("/etc", filepath.Join(root, "etc"))
	if _, err := LookupUser(root, "daemon", nil); err == nil {
		t.Error("found a user of the host")
	}
}

func TestLimits(t *testing.T) {
	r := &minicontainer.Resources{Memory: 100 << 20, NanoCPUs: 1.5e9, CPUShares: 512}
	got, err := Limits(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *got.Memory.Limit != 100<<20 || *got.Memory.Swap != 200<<20 || *got.CPU.Quota != 150000 || *got.CPU.Period != 100000 || *got.CPU.Shares != 512 {
		t.Errorf("Limits = %+v %+v; want 100 MiB, as much swap, 1.5 CPUs", got.Memory, got.CPU)
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}`))
	f.Add([]byte(`{"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ParseProfile(text); err == nil {
			(&security{profile: p}).filter(nil)
		}
	})
}

func FuzzParseDeviceRule(f *testing.F) {
	f.Add("c 1:3 rwm")
	f.Add("b *:* r")
	f.Fuzz(func(t *testing.T, text string) { parseDeviceRule(text) })
}
