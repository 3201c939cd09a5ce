package nsdemo_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/nsdemo"
)

func TestPlan(t *testing.T) {
	one := func(outside int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: outside, Size: 1}}
	}
	maker := nsdemo.UserID{UID: 1000, GID: 100}
	tests := []struct {
		name string
		spec nsdemo.Spec
		want syscall.SysProcAttr
	}{
		{"nothing", nsdemo.Spec{}, syscall.SysProcAttr{}},
		{"the six of Docker", nsdemo.Spec{Kinds: nsdemo.DockerKinds()}, syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP,
		}},
		{"time", nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Time}}, syscall.SysProcAttr{Cloneflags: 0x80}},
		{"the maker becomes root", nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.User}}, syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER, UidMappings: one(1000), GidMappings: one(100),
			Credential: &syscall.Credential{NoSetGroups: true},
		}},
		{"another map", nsdemo.Spec{
			Kinds:  []nsdemo.Kind{nsdemo.User},
			UIDMap: []nsdemo.IDMap{{Inside: 0, Outside: 100000, Count: 65536}},
			GIDMap: []nsdemo.IDMap{{Inside: 5, Outside: 6, Count: 1}}, Setgroups: true,
		}, syscall.SysProcAttr{
			Cloneflags:                 unix.CLONE_NEWUSER,
			UidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
			GidMappings:                []syscall.SysProcIDMap{{ContainerID: 5, HostID: 6, Size: 1}},
			GidMappingsEnableSetgroups: true,
		}},
		{"a cgroup namespace is made later, from the folder", nsdemo.Spec{
			Kinds: []nsdemo.Kind{nsdemo.Cgroup}, CgroupDir: "/sys/fs/cgroup/x",
		}, syscall.SysProcAttr{}},
	}
	for _, test := range tests {
		test.want.Pdeathsig = syscall.SIGKILL
		got, err := nsdemo.Plan(test.spec, maker)
		if err != nil {
			t.Errorf("%s: Plan = %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(&test.want, got); diff != "" {
			t.Errorf("%s: Plan (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestValidateSaysWhatIsWrong(t *testing.T) {
	kinds := func(k ...nsdemo.Kind) []nsdemo.Kind { return k }
	tests := []struct {
		spec nsdemo.Spec
		says string
	}{
		{nsdemo.Spec{Kinds: kinds("disk")}, `"disk"`},
		{nsdemo.Spec{Kinds: kinds("mnt", "mnt")}, "twice"},
		{nsdemo.Spec{Hostname: "x"}, "CLONE_NEWUTS"},
		{nsdemo.Spec{Kinds: kinds("uts"), Hostname: strings.Repeat("x", 65)}, "65 bytes"},
		{nsdemo.Spec{Offsets: nsdemo.Offsets{Boottime: 1}}, "CLONE_NEWTIME"},
		{nsdemo.Spec{Kinds: kinds("time"), Offsets: nsdemo.Offsets{Boottime: 1 << 62}}, "146 years"},
		{nsdemo.Spec{Proc: true, Kinds: kinds("pid")}, "CLONE_NEWNS"},
		{nsdemo.Spec{Setgroups: true}, "CLONE_NEWUSER"},
		{nsdemo.Spec{UIDMap: []nsdemo.IDMap{{Count: 1}}}, "CLONE_NEWUSER"},
		{nsdemo.Spec{Kinds: kinds("user"), UIDMap: []nsdemo.IDMap{{Count: 0}}}, "count from 1"},
		{nsdemo.Spec{Kinds: kinds("user"), GIDMap: []nsdemo.IDMap{{Count: 5}, {Inside: 4, Outside: 9, Count: 1}}}, "overlap"},
		{nsdemo.Spec{Kinds: kinds("mnt"), Propagation: "public"}, `"public"`},
		{nsdemo.Spec{Propagation: nsdemo.Slave}, "CLONE_NEWNS"},
		{nsdemo.Spec{Kinds: kinds("net"), As: nobody()}, "an ordinary user needs"},
		{nsdemo.Spec{CgroupDir: "/x"}, "CLONE_NEWCGROUP"},
	}
	for _, test := range tests {
		err := test.spec.Validate()
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Validate(%+v) = %v; want an error with %q", test.spec, err, test.says)
		}
	}
}

func TestOffsetsTextAndBack(t *testing.T) {
	tests := map[nsdemo.Offsets]string{
		{}:                      "",
		{Boottime: time.Second}: "boottime 1 0\n",
		{Monotonic: -time.Second - 1, Boottime: time.Millisecond}: "monotonic -2 999999999\nboottime 0 1000000\n",
	}
	for offsets, want := range tests {
		if got := offsets.Text(); got != want {
			t.Errorf("%+v.Text() = %q; want %q", offsets, got, want)
		}
		if back, err := nsdemo.ParseOffsets(strings.NewReader(want)); back != offsets || err != nil {
			t.Errorf("ParseOffsets(%q) = %+v, %v; want %+v", want, back, err, offsets)
		}
	}
}

func TestMountFlags(t *testing.T) {
	flags, data := nsdemo.MountFlags([]string{"rbind", "ro", "size=5", "nosuid", "mode=755"})
	if want := uintptr(unix.MS_BIND | unix.MS_REC | unix.MS_RDONLY | unix.MS_NOSUID); flags != want || data != "size=5,mode=755" {
		t.Errorf("MountFlags = %#x, %q; want %#x, size=5,mode=755", flags, data, want)
	}
}
