package builtin_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/minicontainer/builtin"
	"cutaway/unionfs"
)

// root makes a container's root of the image stress, made of these sources.
func root(t *testing.T, from builtin.Sources) string {
	t.Helper()
	s := open(t, "overlay2")
	img := ensureFrom(t, s, "stress", from)
	if _, err := s.CreateRoot("c", img, unionfs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	m, err := s.MountRoot("c")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"proc", "dev"} {
		if err := unix.Mount("/"+dir, m.Path+"/"+dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, dir := range []string{"proc", "dev"} {
			if err := unix.Unmount(m.Path+"/"+dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
		if err := m.Release(); err != nil {
			t.Error(err)
		}
	})
	return m.Path
}

// inRoot runs a line of shell in a root and says what it printed, and its code.
func inRoot(t *testing.T, root, line string) (out string, code int) {
	t.Helper()
	cmd := exec.Command("chroot", root, "/bin/sh", "-c", "cd /tmp; "+line)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// lines are done by busybox and by cutaway's own applets: busybox is the judge.
var lines = []string{
	`echo a b; echo -n c; printf '%s-%03d\n' x 7`,
	`test -d /etc && [ -f /etc/passwd ] && echo yes; [ 2 -gt 3 ] || echo no`,
	`true; echo $?; false; echo $?; (exit 7); echo $?`,
	`cat /etc/group | head -n 2 | tail -1; head -3 /etc/passwd | wc -l; cat -n /etc/group | head -1`,
	`printf 'b 2\na 10\nb 2\n' | sort | uniq -c; printf 'b 2\na 10\n' | sort -n -k 2 -r`,
	`grep -c root /etc/passwd; grep -n '^u\(ser\)' /etc/passwd; grep -q nothing /etc/passwd; echo $?; grep -vE 'root|www' /etc/group`,
	`echo hello | tr a-y b-z; echo aabb | tr -s ab; echo abc | tr -d b; echo x | tr '[:lower:]' '[:upper:]'`,
	`cut -d: -f1,3 /etc/passwd; seq 3; seq 2 2 6; seq 3 -1 1`,
	`mkdir -p d/e && touch d/f && ls -a d; rmdir d/e; rm -r d; ls d 2>/dev/null; echo $?`,
	`echo x >f; cp f g; mv g h; cat h; ln -s h l; readlink l; readlink -f l; ln h k; stat -c '%h %s %F' k; rm f h l k`,
	`echo x >f; chmod 640 f; stat -c %a f; chmod u+x,g-r f; stat -c '%a %A' f; chown user:www f; stat -c '%u %g' f; rm f`,
	`ls -ld /tmp | cut -c1-10 2>/dev/null | tr -d x >/dev/null; stat -c %A /tmp /root /etc/shadow /var/run`,
	`mkdir -p t/a t/b; echo 1 >t/a/x; tar cf t.tar t; tar tf t.tar | sort; rm -r t; tar -xf t.tar; cat t/a/x; rm -r t t.tar`,
	`mkdir -p t/a; echo 1 >t/a/x; cp -a t u; find u | sort; find u -type f -name 'x*'; find u -maxdepth 1 | sort; rm -r t u`,
	`echo abc | sha256sum; echo abc >f; sha256sum f >s; sha256sum -c s; rm f s`,
	`id; id -u; whoami; uname -s; env -i A=1 env; env A=2 sh -c 'echo $A'`,
	`echo x | tee f; cat f; rm f; yes | head -2; basename() { echo fn; }; basename`,
	`for i in 1 2 3; do echo $i; done | while read n; do echo "<$n>"; done; x=$(echo sub); echo ${x#s}; echo $((2+3*4))`,
	`umask 027; touch f; stat -c %a f; rm f; umask`,
	`sh -c 'echo $0 $1' name arg; sh -ec 'false; echo not here'; echo $?; trap 'echo bye' EXIT; exit 3`,
	`du -s /etc/nothing 2>/dev/null; echo $?; date -u +%Z; cd /etc && pwd; readlink /proc/$$/cwd`,
	`kill -0 $$ && echo alive; kill -9 999999 2>/dev/null || echo gone; nosuchprogram 2>/dev/null; echo $?`,
	`mkdir m; mount -t tmpfs -o size=1m none m && grep -c /tmp/m /proc/mounts; umount m; grep -c /tmp/m /proc/mounts; rmdir m`,
}

func TestProgramsAgreeWithBusybox(t *testing.T) {
	from := builtin.Find()
	needs.That(t, from.BusyBox != "", "a static busybox (package busybox-static)")
	theirs, ours := root(t, from), root(t, builtin.Sources{Self: from.Self})
	for _, line := range lines {
		want, wantCode := inRoot(t, theirs, line)
		got, code := inRoot(t, ours, line)
		if got != want || code != wantCode {
			t.Errorf("%s\n\tgave %d %q\n\twant %d %q", line, code, got, wantCode, want)
		}
	}
}

// TestPrograms looks at what has no judge: another program's words differ.
func TestPrograms(t *testing.T) {
	for kind, from := range map[string]builtin.Sources{"busybox": builtin.Find(), "cutaway": {Self: "/proc/self/exe"}} {
		t.Run(kind, func(t *testing.T) {
			needs.That(t, kind != "busybox" || from.BusyBox != "", "a static busybox (package busybox-static)")
			dir := root(t, from)
			for line, want := range map[string]string{
				`stress --fork 0 2>&1`:                        "stress: nothing to do",
				`stress -c 1 -m 1 --vm-bytes 1m -t 0.2`:       "stress: 1 cpu, 1 vm, 0 io, 0 hdd, 0 fork\nstress: done",
				`ps | grep -c '[s]h'`:                         "",
				`ip addr show lo | grep -o 'LOOPBACK'`:        "LOOPBACK",
				`df /tmp | wc -l`:                             "2",
				`ls -l /bin/sh | tr -s ' ' | cut -d' ' -f1,3`: "lrwxrwxrwx root",
				`httpd -f -p 127.0.0.1:18097 -h /etc & sleep 1; wget -q -O - http://127.0.0.1:18097/group | head -1; kill $! 2>/dev/null; exit 0`: "root:x:0:",
			} {
				if got, _ := inNet(t, dir, line); !strings.HasPrefix(got, want) {
					t.Errorf("%s = %q; want %q", line, got, want)
				}
			}
		})
	}
}

// inNet is inRoot in a network namespace of its own, and with a process
// namespace whose end is the end of all that the line started.
func inNet(t *testing.T, root, line string) (string, int) {
	t.Helper()
	cmd := exec.Command("unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", `ip link set lo up; exec chroot "$0" /bin/sh -c "$1"`, root, line)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// TestLinksLeadSomewhere: also for one who looks from outside.
func TestLinksLeadSomewhere(t *testing.T) {
	dir := root(t, builtin.Find())
	for _, folder := range []string{"bin", "sbin", "usr/bin", "usr/sbin"} {
		links, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if _, err := os.Stat(filepath.Join(dir, folder, l.Name())); err != nil {
				t.Error(err)
			}
		}
	}
}
