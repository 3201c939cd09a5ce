package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"cutaway/minicontainer"
)

// parseRun reads a command line as run does.
func parseRun(t *testing.T, args ...string) (minicontainer.Options, error) {
	t.Helper()
	f := &runFlags{}
	cmd := &cobra.Command{Use: "run"}
	f.add(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		return minicontainer.Options{}, err
	}
	return f.options(cmd.Flags().Args(), cmd.Flags().Changed)
}

func TestRunFlags(t *testing.T) {
	o, err := parseRun(t, "-it", "-h", "host", "-m", "64m", "--cpus", "0.5", "-p", "127.0.0.1:80:8080/udp", "-e", "A=b", "-v", "store:/data:ro",
		"--entrypoint", "", "--restart", "on-failure:3", "--ulimit", "nofile=10:20", "--device", "/dev/fuse:rw", "box", "sh", "-c", "exit 0")
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"image", o.Config.Image, "box"}, {"command", o.Config.Cmd, []string{"sh", "-c", "exit 0"}},
		{"entrypoint", o.Config.Entrypoint, []string{""}}, {"terminal", o.Config.Tty && o.Config.OpenStdin, true},
		{"hostname", o.Config.Hostname, "host"}, {"memory", o.Host.Memory, int64(64 << 20)}, {"cpus", o.Host.NanoCPUs, int64(5e8)},
		{"ports", o.Host.PortBindings, map[string][]minicontainer.PortBinding{"8080/udp": {{HostIP: "127.0.0.1", HostPort: "80"}}}},
		{"binds", o.Host.Binds, []string{"store:/data:ro"}}, {"env", o.Config.Env, []string{"A=b"}},
		{"restart", o.Host.RestartPolicy, minicontainer.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}},
		{"ulimit", o.Host.Ulimits, []minicontainer.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}},
		{"device", o.Host.Devices, []minicontainer.Device{{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rw"}}},
	} {
		if diff := cmp.Diff(check.want, check.got); diff != "" {
			t.Errorf("%s: %s", check.what, diff)
		}
	}
}

func TestRunFlagsThatContradict(t *testing.T) {
	for _, args := range [][]string{
		{"--uts", "host", "--hostname", "x", "box"}, {"--cap-add", "nonsense", "box"}, {"--memory", "much", "box"}, {"--cpus", "-1", "box"},
		{"--network", "container:x", "-p", "80", "box"}, {"--network-alias", "a", "box"}, {"--add-host", "noaddress", "box"},
		{"--ulimit", "nofile", "box"}, {"--ulimit", "nofile=5:2", "box"}, {"--device", "a:b:c:d", "box"}, {"--device-read-bps", "/x", "box"},
		{"--restart", "on-failure:many", "box"}, {"--stop-signal", "SIGNOPE", "box"}, {"--userns", "0:1", "box"}, {"--mount", "type=odd", "box"},
	} {
		if _, err := parseRun(t, args...); err == nil {
			t.Errorf("%q is no error", args)
		}
	}
}

func TestDetachKeys(t *testing.T) {
	k := &keyWatch{keys: parseKeys(defaultDetachKeys)}
	for _, step := range []struct {
		in, out string
		end     bool
	}{{"ab", "ab", false}, {"c\x10", "c", false}, {"d", "\x10d", false}, {"\x10\x10", "\x10", false}, {"\x11", "", true}} {
		out, end := k.take([]byte(step.in))
		if string(out) != step.out || end != step.end {
			t.Errorf("take(%q) = %q, %v; want %q, %v", step.in, out, end, step.out, step.end)
		}
	}
}

func TestPlaceForCopies(t *testing.T) {
	for _, tt := range []struct {
		src, dst  string
		srcDir    bool
		there     folderOrFile
		dir, name string
		refused   bool
	}{
		{"/a/f", "/d", false, folder(true), "/d", "f", false},
		{"/a/f", "/d/g", false, nil, "/d", "g", false},
		{"/a/f", "/d/g", false, folder(false), "/d", "g", false},
		{"/a", "/d", true, folder(true), "/d", "a", false},
		{"/a/.", "/d", true, folder(true), "/d", "", false},
		{"/a", "/new", true, nil, "/", "new", false},
		{"/a", "/file", true, folder(false), "", "", true},
		{"/f", "/new/", false, nil, "", "", true},
	} {
		got, err := placeFor(tt.src, tt.dst, tt.srcDir, tt.there)
		if (err != nil) != tt.refused || (err == nil && got != place{tt.dir, tt.name}) {
			t.Errorf("placeFor(%s, %s) = %+v, %v; want {%s %s}, refused %v", tt.src, tt.dst, got, err, tt.dir, tt.name, tt.refused)
		}
	}
}

type folder bool

func (f folder) IsDir() bool { return bool(f) }

func TestMoment(t *testing.T) {
	now := time.Unix(10000, 0)
	for text, want := range map[string]time.Time{"10m": now.Add(-10 * time.Minute), "1234": time.Unix(1234, 0),
		"2020-01-02T03:04:05Z": time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)} {
		if got, err := moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("moment(%s) = %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := moment("soon", now); err == nil {
		t.Error("moment(soon) is no error")
	}
}
