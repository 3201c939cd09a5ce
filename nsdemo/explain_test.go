package nsdemo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/nsdemo"
)

// fakeProc is a proc filesystem as a certain machine would show it to pid 7.
func fakeProc(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	do(t, os.MkdirAll(filepath.Join(root, "7/ns"), 0o755))
	do(t, os.Symlink("7", filepath.Join(root, "self")))
	for name, text := range files {
		path := filepath.Join(root, name)
		do(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			do(t, os.Symlink(target, path))
			continue
		}
		do(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return root
}

func TestExplainConfirms(t *testing.T) {
	const plainRoot = "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
	tests := []struct {
		name  string
		errno syscall.Errno
		files map[string]string
		want  string // part of the confirmed reason; "" for none
	}{
		{"Ubuntu's switch", unix.EACCES, map[string]string{"sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "apparmor_restrict_unprivileged_userns is 1"},
		{"Debian's switch", unix.EPERM, map[string]string{"sys/kernel/unprivileged_userns_clone": "0\n"}, "unprivileged_userns_clone is 0"},
		{"Debian's switch is on", unix.EPERM, map[string]string{"sys/kernel/unprivileged_userns_clone": "1\n"}, ""},
		{"limit", unix.ENOSPC, map[string]string{"sys/user/max_user_namespaces": "0\n"}, "max_user_namespaces is 0"},
		{"another limit", unix.ENOSPC, map[string]string{"sys/user/max_net_namespaces": "0\n"}, "limit of namespaces"},
		{"not root", unix.EPERM, map[string]string{"7/status": "CapEff:\t0\n"}, "CAP_SYS_ADMIN"},
		{"root", unix.EPERM, map[string]string{"7/status": "CapEff:\t1ffffffffff\n", "7/mountinfo": plainRoot}, ""},
		{"seccomp", unix.EPERM, map[string]string{"7/status": "CapEff:\t1ffffffffff\nSeccomp:\t2\n"}, "seccomp"},
		{"chroot", unix.EPERM, map[string]string{"7/mountinfo": "22 1 0:5 / /proc rw - proc proc rw\n"}, "chroot"},
		{"in a user namespace", unix.EPERM, map[string]string{"7/ns/user": "-> user:[4026532290]"}, "owns the object"},
		{"shared root", unix.EINVAL, map[string]string{"7/mountinfo": "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"}, "pivot_root"},
		{"kernel lacks a kind", unix.EINVAL, map[string]string{"7/ns/user": "-> user:[4026531837]"}, "built without"},
		{"profile", unix.EACCES, map[string]string{"7/attr/current": "docker-default (enforce)\n"}, "security module"},
	}
	for _, test := range tests {
		causes := nsdemo.Explain(fakeProc(t, test.files), fmt.Errorf("clone: %w", test.errno))
		if len(causes) == 0 {
			t.Errorf("%s: no cause at all", test.name)
			continue
		}
		first := causes[0]
		if test.want == "" && first.Confirmed || test.want != "" && (!first.Confirmed || !strings.Contains(first.Why, test.want)) {
			t.Errorf("%s: first cause = %+v; want %q confirmed", test.name, first, test.want)
		}
		if first.Try == "" {
			t.Errorf("%s: no way out for %+v", test.name, first)
		}
	}
}

func TestExplainKnowsNothingOfOtherErrors(t *testing.T) {
	if causes := nsdemo.Explain(proc, errors.New("no errno")); len(causes) != 0 {
		t.Errorf("Explain = %+v; want none", causes)
	}
}

func TestSwitchesAndLimitsOfThisMachine(t *testing.T) {
	limits := must(nsdemo.Limits(proc))(t)
	if len(limits) != len(nsdemo.Kinds()) {
		t.Errorf("Limits = %v; want one for each kind", limits)
	}
	for _, s := range nsdemo.Switches(proc) {
		if !strings.HasPrefix(s.File, "/proc/sys/") || !strings.Contains(s.Try, s.Name+"=") {
			t.Errorf("switch %+v: want a file and a command", s)
		}
		if !s.Present && s.Refuses {
			t.Errorf("switch %+v is not there and refuses", s)
		}
	}
}

// A limit of 0 set inside a throwaway user namespace refuses there what it would
// refuse on a machine.
func TestLimitRefuses(t *testing.T) {
	p := start(t, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.User, nsdemo.Mnt, nsdemo.PID}, Proc: true})
	do(t, p.WriteFile(t.Context(), "/proc/sys/user/max_uts_namespaces", "0", 0))
	err := p.Unshare(t.Context(), nsdemo.UTS)
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("unshare over the limit = %v; want ENOSPC", err)
	}
}
