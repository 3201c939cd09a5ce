package oci

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// attack is a container that wants out: what it changes, and what it is after.
type attack struct {
	name   string
	script string
	change func(*testing.T, *specs.Spec)
	files  []*os.File // leaked into the runtime by its caller
	want   string     // standard output of a container that could run
	error  string     // or what create says
}

func attacks(host string) []attack {
	var all []attack
	overwrite := func(_ *testing.T, s *specs.Spec) { s.Process.Args = []string{"/proc/self/exe", "play-overwrite"} }
	own := func(_ *testing.T, s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 1000}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}
	for fd := 3; fd < 16; fd++ {
		all = append(all, attack{name: fmt.Sprintf("leaked working directory %d", fd), script: "cat host-secret ../../../../host-secret",
			change: func(_ *testing.T, s *specs.Spec) { s.Process.Cwd = fmt.Sprintf("/proc/self/fd/%d", fd) }})
	}
	tree := func(lines string) func(*testing.T, *specs.Spec) {
		return func(t *testing.T, s *specs.Spec) { s.Root.Path = changedRoot(t, s.Root.Path, lines) }
	}
	both := func(a, b func(*testing.T, *specs.Spec)) func(*testing.T, *specs.Spec) {
		return func(t *testing.T, s *specs.Spec) { a(t, s); b(t, s) }
	}
	mount := func(m specs.Mount) func(*testing.T, *specs.Spec) {
		return func(_ *testing.T, s *specs.Spec) { s.Mounts = append(s.Mounts, m) }
	}
	return append(all, []attack{
		// What the stage was started from is the runtime in a user namespace only.
		{name: "overwrite the runtime through /proc/self/exe", want: "EROFS EROFS EROFS", change: both(overwrite, own)},
		{name: "there is no runtime in /proc/self/exe", error: "no such file or directory", change: overwrite},
		{name: "nor for the kernel", error: "mmap the script", change: both(tree("printf '#!/proc/self/exe\\n' > bin/run-me; chmod 755 bin/run-me"),
			func(_ *testing.T, s *specs.Spec) { s.Process.Args = []string{"run-me"} })},
		{name: "leaked descriptor", script: "ls /proc/self/fd | sort | tr '\\n' ' '", want: "0 1 2 3 ", files: []*os.File{openDir(host)}},
		{name: "proc is a link", change: tree("rm -rf proc; mkdir fake; ln -s fake proc"), error: "must be mounted on ordinary directory"},
		{name: "mount through a magic link", change: mount(specs.Mount{Destination: "/proc/self/root/x", Type: "tmpfs", Source: "tmpfs"}), error: "error mounting"},
		{name: "mount into another process", change: mount(specs.Mount{Destination: "/proc/1/cwd/x", Type: "tmpfs", Source: "tmpfs"}), error: "error mounting"},
		{name: "mount over a setting of proc", change: mount(specs.Mount{Destination: "/proc/sys/net", Type: "tmpfs", Source: "tmpfs"}), error: "inside /proc"},
		{name: "link to a setting of proc", change: both(tree("ln -s /proc/sys/kernel innocent"),
			mount(specs.Mount{Destination: "/innocent", Type: "tmpfs", Source: "tmpfs"})), error: "inside /proc"},
		{name: "link out of the root", script: "cat /out/file", want: "new\n",
			change: both(tree("ln -s ../../../../../.."+host+" out; mkdir -p ."+host+"; echo new > ."+host+"/file; rmdir ."+host+" 2>/dev/null || :"),
				func(*testing.T, *specs.Spec) {})},
		{name: "null device is a link", script: "wc -c < /etc/file; stat -c %t:%T /etc/file", want: "0\n1:3\n",
			change: both(tree("mkdir -p mydev; ln -s /etc/passwd mydev/null; rm -rf dev; ln -s mydev dev"), func(_ *testing.T, s *specs.Spec) {
				s.Mounts = s.Mounts[:1]
				s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/etc/file"}, nil
			})},
		{name: "device folder is a link", script: "ls " + host, want: "host-secret\n", change: both(tree("rm -rf dev; ln -s ../../../../.."+host+" dev"),
			func(_ *testing.T, s *specs.Spec) {
				s.Mounts = append(s.Mounts[:1], specs.Mount{Destination: host, Type: "bind", Source: host, Options: []string{"bind", "ro"}})
			}), error: "read-only file system"},
		{name: "root of the host by user namespace", script: "touch /data/host-secret 2>&1; rm -f /data/host-secret 2>&1; ls /data", want: "touch: /data/host-secret: Permission denied\nrm: can't remove '/data/host-secret': Permission denied\nhost-secret\n",
			change: both(mount(specs.Mount{Destination: "/data", Type: "bind", Source: host, Options: []string{"bind"}}), own)},
		{name: "fork bomb", script: "f() { f & f & }; f 2>/dev/null; sleep 0.2; echo survived", want: "",
			change: func(_ *testing.T, s *specs.Spec) {
				n := int64(15)
				s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &n}
			}},
	}...)
}

// TestHostile runs each attack and looks at the host afterwards.
func TestHostile(t *testing.T) {
	needs.Root(t)
	host := scratch(t)
	os.WriteFile(host+"/host-secret", []byte("secret\n"), 0o600)
	root, dir := testRootfs(t), scratch(t)
	before, mounts := digest(t, "/proc/self/exe"), mountTable(t)
	for _, a := range attacks(host) {
		t.Run(a.name, func(t *testing.T) {
			v := variation{script: a.script}
			if a.change != nil {
				v.change = func(s *specs.Spec) { a.change(t, s) }
			}
			bundle := writeBundle(t, dir, root, v)
			cmd := exec.Command("/proc/self/exe", "play-runtime", "run", dir+"/state", "cutaway-hostile", bundle)
			cmd.ExtraFiles = a.files
			got := outcomeOf(cmd)
			if a.error != "" && (got.status == 0 || !strings.Contains(got.stderr, a.error)) {
				t.Errorf("status %d, stdout %q, stderr %q; want an error about %q", got.status, got.stdout, got.stderr, a.error)
			}
			if a.error == "" && a.want != "" && got.stdout != a.want {
				t.Errorf("stdout %q, stderr %q; want %q", got.stdout, got.stderr, a.want)
			}
			if strings.HasPrefix(got.stdout, "secret\n") {
				t.Error("the container read the host's file")
			}
		})
	}
	if digest(t, "/proc/self/exe") != before {
		t.Error("the runtime's binary was changed")
	}
	if after := mountTable(t); after != mounts {
		t.Errorf("the host's mounts were\n%s\nand are\n%s", mounts, after)
	}
	if text, _ := os.ReadFile(host + "/host-secret"); string(text) != "secret\n" {
		t.Errorf("the host's file is %q now", text)
	}
}

// playOverwrite is the hostile program of the first attack: it runs as the
// runtime's own binary and tries to write to what it was started from.
func playOverwrite() {
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_TRUNC} {
		_, err := unix.Open("/proc/self/exe", flags, 0)
		errno, _ := err.(unix.Errno)
		fmt.Print(strings.TrimPrefix(" "+unix.ErrnoName(errno), map[bool]string{true: " "}[flags == unix.O_WRONLY]))
	}
}

// TestMountRace changes a folder of a shared volume into a link to the host's
// root and back, while containers mount something there (CVE-2021-30465).
func TestMountRace(t *testing.T) {
	needs.Root(t)
	root, dir, volume := testRootfs(t), scratch(t), scratch(t)
	os.Mkdir(volume+"/a", 0o755)
	os.Symlink("/", volume+"/b")
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, volume+"/a", unix.AT_FDCWD, volume+"/b", unix.RENAME_EXCHANGE)
			}
		}
	}()
	before := mountTable(t)
	for i := range 15 {
		bundle := writeBundle(t, dir, root, variation{script: "ls -d /volume/a/data /data 2>/dev/null | head -1", change: func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/volume", Type: "bind", Source: volume, Options: []string{"bind"}},
				specs.Mount{Destination: "/volume/a", Type: "tmpfs", Source: "tmpfs"})
		}})
		got := outcomeOf(exec.Command("/proc/self/exe", "play-runtime", "run", dir+"/state", "cutaway-race", bundle))
		if got.status == 0 && got.stdout != "/data\n" && got.stdout != "" {
			t.Errorf("run %d: %+v", i, got)
		}
	}
	close(stop)
	<-stopped
	if after := mountTable(t); after != before {
		t.Errorf("mounts were\n%s\nand are\n%s", before, after)
	}
}

// changedRoot copies the root and lets a shell change the copy.
func changedRoot(t *testing.T, root, lines string) string {
	t.Helper()
	dir := filepath.Join(scratch(t), "rootfs")
	run(t, "cp", "-a", root, dir)
	run(t, "sh", "-ec", "cd "+dir+"; "+lines)
	return dir
}

func openDir(path string) *os.File {
	f, _ := os.Open(path)
	return f
}

func digest(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil))
}

func mountTable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
