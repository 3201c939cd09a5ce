package journal

import "testing"

func TestFreezerIsFound(t *testing.T) {
	const groups = "8:pids:/a\n6:cpu,freezer:/cutaway-1-2-ice\n0::/b\n"
	if got, want := freezerGroup([]byte(groups)), "/cutaway-1-2-ice"; got != want {
		t.Errorf("freezerGroup = %q; want %q", got, want)
	}
	if got := freezerGroup([]byte("0::/b\n")); got != "" {
		t.Errorf("freezerGroup without a freezer = %q; want none", got)
	}
	const mounts = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
		"37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer\n" +
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	if got, want := freezerMount([]byte(mounts)), "/sys/fs/cgroup/freezer"; got != want {
		t.Errorf("freezerMount = %q; want %q", got, want)
	}
	if got := freezerMount([]byte("1 0 0:1 / / rw - ext4 freezer rw\n")); got != "" {
		t.Errorf("freezerMount without one = %q; want none", got)
	}
}
