package probe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// debianMountinfo is cut from a Debian 12 machine with a quota disk, dockerMountinfo from
// a docker container on it.
const (
	debianMountinfo = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
24 22 0:22 / /proc rw,nosuid shared:12 - proc proc rw
29 24 0:26 / /proc/sys/fs/binfmt_misc rw shared:15 - autofs systemd-1 rw,fd=29
31 22 0:27 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate
40 22 254:17 / /mnt/a\040b rw - xfs /dev/vdb1 rw,prjquota
`
	dockerMountinfo = `600 500 0:55 / / rw,relatime master:190 - overlay overlay rw,lowerdir=/l1,upperdir=/u,workdir=/w
601 600 0:58 / /proc rw,nosuid - proc proc rw
612 601 0:60 / /proc/acpi ro,relatime - tmpfs tmpfs ro
613 601 0:58 /sys /proc/sys ro,nosuid - proc proc rw
620 600 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
`
)

func TestParseMountinfo(t *testing.T) {
	got := parseMountinfo(strings.NewReader(debianMountinfo + "garbage\n1 2 3 - x\n"))
	if len(got) != 5 {
		t.Fatalf("parseMountinfo = %d lines; want 5", len(got))
	}
	want := mountLine{root: "/", point: "/mnt/a b", options: "rw", fstype: "xfs", super: "rw,prjquota", device: "254:17"}
	if diff := cmp.Diff(want, got[4], cmp.AllowUnexported(mountLine{})); diff != "" {
		t.Errorf("last line (-want +got):\n%s", diff)
	}
}

func TestMountQuestions(t *testing.T) {
	debian, docker := parseMountinfo(strings.NewReader(debianMountinfo)), parseMountinfo(strings.NewReader(dockerMountinfo))
	if got := coveredPaths(debian, "/proc/"); len(got) != 0 {
		t.Errorf("coveredPaths(debian) = %v; want none: binfmt_misc is on every machine", got)
	}
	if got := coveredPaths(docker, "/proc/"); len(got) != 2 {
		t.Errorf("coveredPaths(docker) = %v; want /proc/acpi and /proc/sys", got)
	}
	if !wholeDisk(debian) || wholeDisk(docker) {
		t.Errorf("wholeDisk(debian), (docker) = %v, %v; want true, false", wholeDisk(debian), wholeDisk(docker))
	}
	if chrooted(debian) || chrooted(nil) || !chrooted(debian[1:]) {
		t.Error("chrooted: only a table without a line for / is a chroot")
	}
	if m, ok := cgroupPoint(docker, "memory"); !ok || cgroupDir(m, "/docker/abc/x") != "/sys/fs/cgroup/memory/x" {
		t.Errorf("cgroupPoint(docker, memory) = %v, %v", m, ok)
	}
	if m, ok := cgroupPoint(debian, ""); !ok || cgroupDir(m, "/") != "/sys/fs/cgroup" {
		t.Errorf("cgroupPoint(debian, v2) = %v, %v", m, ok)
	}
	if _, ok := cgroupPoint(docker, "mem"); ok {
		t.Error("cgroupPoint(docker, mem) was found: options are whole words")
	}
}

func TestCgroupFiles(t *testing.T) {
	got := parseProcCgroups(strings.NewReader("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t0\t5\t0\n"))
	want := map[string]v1Line{"cpu": {"1", true}, "memory": {"0", false}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(v1Line{})); diff != "" {
		t.Errorf("parseProcCgroups (-want +got):\n%s", diff)
	}
	own := parseSelfCgroup(strings.NewReader("4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d\nx\n"))
	if diff := cmp.Diff(map[string]string{"cpu": "/a", "cpuacct": "/a", "name=systemd": "/b:c", "": "/d"}, own); diff != "" {
		t.Errorf("parseSelfCgroup (-want +got):\n%s", diff)
	}
}

func TestHasField(t *testing.T) {
	const list = "nodev\tproc\n\text4\nnodev\tfuseblk\n"
	for word, want := range map[string]bool{"ext4": true, "fuse": false, "ext": false, "fuseblk": true} {
		if got := hasField(list, word); got != want {
			t.Errorf("hasField(%q) = %v; want %v", word, got, want)
		}
	}
}

func TestHasCap(t *testing.T) {
	for set, want := range map[string]bool{"000001ffffffffff": true, "0000000000200000": true, "00000000a80425fb": false, "": false} {
		if got := hasCap(set, 21); got != want {
			t.Errorf("hasCap(%q, CAP_SYS_ADMIN) = %v; want %v", set, got, want)
		}
	}
}

func TestModuleNames(t *testing.T) {
	got := moduleNames(strings.NewReader("overlay 155648 3 - Live 0x0\nkernel/drivers/md/dm-thin-pool.ko.xz: kernel/x.ko\nkernel/net/bridge/bridge.ko\n\n"))
	if diff := cmp.Diff(map[string]bool{"overlay": true, "dm_thin_pool": true, "bridge": true}, got); diff != "" {
		t.Errorf("moduleNames (-want +got):\n%s", diff)
	}
}

func TestSleeping(t *testing.T) {
	m := moduleIndex{loadable: true, known: true, loaded: map[string]bool{"overlay": true},
		builtin: map[string]bool{"bridge": true}, onDisk: map[string]bool{"dm_thin_pool": true, "overlay": true}}
	names, sure := m.sleeping([]string{"overlay", "bridge", "dm-thin-pool", "aufs"})
	if diff := cmp.Diff([]string{"dm-thin-pool"}, names); diff != "" || !sure {
		t.Errorf("sleeping = %v, %v; want dm-thin-pool, true", names, sure)
	}
	m.known = false // a container without /lib/modules: the host may have anything
	if _, sure := m.sleeping([]string{"aufs"}); sure {
		t.Error("sleeping without a list of modules is sure")
	}
	if names, sure := (moduleIndex{}).sleeping([]string{"aufs"}); names != nil || !sure {
		t.Error("a kernel that loads no modules has none that sleep")
	}
}

func TestExplainUserns(t *testing.T) {
	for _, c := range []struct {
		name  string
		state State
		p     usernsPolicy
		want  State
		fix   string
	}{
		{"limit 0", Limit, usernsPolicy{max: "0"}, Off, fixMaxUserns},
		{"limit reached", Limit, usernsPolicy{max: "100"}, Limit, ""},
		{"Debian", Denied, usernsPolicy{clone: "0"}, Off, fixUsernsClone},
		{"Ubuntu", Denied, usernsPolicy{apparmor: "1"}, Off, fixUsernsArmor},
		{"chroot comes first", Denied, usernsPolicy{chrooted: true, clone: "0"}, Denied, ""},
		{"bare root", Denied, usernsPolicy{bareRoot: true}, Denied, ""},
		{"docker", Denied, usernsPolicy{seccomped: true}, Denied, ""},
		{"nothing to see", Denied, usernsPolicy{}, Denied, ""},
		{"not built", No, usernsPolicy{clone: "0"}, No, ""},
	} {
		got := explainUserns(Finding{State: c.state}, c.p)
		if got.State != c.want || got.Fix != c.fix {
			t.Errorf("%s: explainUserns = %s, fix %q; want %s, %q", c.name, got.State, got.Fix, c.want, c.fix)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add(debianMountinfo)
	f.Add(`1 2 3 \ \04 \0400 - a b c`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range parseMountinfo(strings.NewReader(s)) {
			_ = cgroupDir(m, "/x")
		}
	})
}

func FuzzProcFiles(f *testing.F) {
	f.Add("cpu\t1\t1\t1\n4:cpu:/a\nkernel/a.ko: b\nName:\tx\n")
	f.Fuzz(func(t *testing.T, s string) {
		parseProcCgroups(strings.NewReader(s))
		parseSelfCgroup(strings.NewReader(s))
		moduleNames(strings.NewReader(s))
		statusField(s, "Name")
		hasField(s, "x")
	})
}

func TestInUserns(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295": false, "0 1000 1": true, "0 100000 65536\n65536 1 1": true, "": true,
	} {
		if got := inUserns(text); got != want {
			t.Errorf("inUserns(%q) = %v; want %v", text, got, want)
		}
	}
}
