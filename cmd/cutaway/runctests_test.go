package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cutaway/internal/needs"
)

// runc has tests of its whole command line, for bats: shell scripts that call what
// $RUNC names. They are run with runc and with this runtime: those that runc passes
// on this machine have to pass here.

// notRun are files that ask for more than a runtime: criu, sshfs, systemd, an agent
// that is linked with libseccomp, a Debian image, a network.
var notRun = []string{"cgroup_delegation", "checkpoint", "hooks", "mounts_sshfs", "seccomp-notify", "seccomp-notify-compat", "spec"}

// passedByRuncOnly are tests that this runtime does not pass on purpose, by the
// beginning of their names, and why.
var passedByRuncOnly = map[string]string{
	"global --debug":                     "looks for the words of runc's own C code",
	"runc --debug":                       "looks for the words of runc's own C code",
	"runc -h":                            "help has another form",
	"runc command -h":                    "help has another form, and there is no checkpoint",
	"runc foo -h":                        "help has another form",
	"runc version":                       "it is not runc",
	"runc run --no-pivot":                "a root without pivot_root is refused",
	"runc exec --cgroup sub-cgroups":     "the process is born in the cgroup, so no pid is added to it in the error's words",
	"runc run [seccomp] (startContainer": "the error names the list that the hook is in: startContainer hook",
	"update devices [minimal transition": "has a device rule with the access rwa, and a is no letter of it",
}

func TestConformanceRunc(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: minutes of runc's own tests, twice; make test-guest")
	}
	needs.Root(t)
	runc := needs.Program(t, "runc", "runc")
	needs.Program(t, "bats", "bats")
	needs.Program(t, "gawk", "gawk")
	needs.Program(t, "jq", "jq")
	w, name := newCallerWorld(t)
	suite := fetchRuncsTests(t, w, runc, name)
	ours := newCallee(t)
	judged, passed := 0, 0
	for _, file := range suite.files(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bats"), func(t *testing.T) {
			want, _ := w.bats(t, suite, file, runc)
			got, output := w.bats(t, suite, file, ours.program)
			judged, passed = judged+len(want), passed+len(got)
			for test := range want {
				if why, known := knownOf(test); !got[test] && !known {
					t.Errorf("runc passes: %s\n%s", test, output)
				} else if got[test] && known {
					t.Errorf("%s passes, though %s", test, why)
				}
			}
		})
	}
	if judged == 0 {
		t.Error("runc passes none of its own tests: they did not run")
	}
	t.Logf("%d tests pass, and %d of runc", passed, judged)
	ours.wantCalls(t, "create", "start", "exec", "update", "events", "pause", "delete")
}

func knownOf(test string) (why string, known bool) {
	for begin, why := range passedByRuncOnly {
		if strings.HasPrefix(test, begin) {
			return why, true
		}
	}
	return "", false
}

// runcsTests is runc's source in a folder of ours.
type runcsTests struct{ dir string }

// fetchRuncsTests takes those of the runc that is installed.
func fetchRuncsTests(t *testing.T, w replayWorld, runc, name string) runcsTests {
	t.Helper()
	needs.File(t, "/bin/busybox", "package busybox-static")
	text, err := exec.Command(runc, "--version").Output()
	version := regexp.MustCompile(`runc version (\d+\.\d+\.\d+)`).FindStringSubmatch(string(text))
	if err != nil || version == nil {
		t.Fatalf("runc --version = %q, %v", text, err)
	}
	s := runcsTests{w.dir + "/runc"}
	fetchModule(t, "github.com/opencontainers/runc@v"+version[1], s.dir)
	w.must(t, fmt.Sprintf("sed -i s/runc-cgroups-integration-test/%s/ %s/tests/integration/*.ba*", name, s.dir))
	w.must(t, fmt.Sprintf("cd %s/contrib/cmd/recvtty && CGO_ENABLED=0 go build -mod=mod -o recvtty .", s.dir))
	// Their images come from a network; these have what the tests use of them.
	w.must(t, fmt.Sprintf(`mkdir -p %[1]s/tmp %[1]s/image/bin %[1]s/image/dev %[1]s/image/etc %[1]s/image/home %[1]s/image/root %[1]s/image/tmp %[1]s/image/var %[1]s/image/lib
		cd %[1]s/image && chmod 1777 tmp && cp /bin/busybox bin/ && for a in $(bin/busybox --list); do [ -e bin/$a ] || ln bin/busybox bin/$a; done
		printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' > etc/passwd
		printf 'root:x:0:\nnogroup:x:65534:\n' > etc/group
		tar -cf ../busybox.tar .
		printf '#!/bin/busybox sh\necho; echo Hello from Docker!\n' > hello && chmod +x hello && tar -cf ../hello.tar .
		printf '#!/bin/sh\necho BUSYBOX_IMAGE=%[1]s/busybox.tar HELLO_IMAGE=%[1]s/hello.tar DEBIAN_IMAGE=%[1]s/busybox.tar\n' > ../tests/integration/get-images.sh
		chmod +x ../tests/integration/get-images.sh`, s.dir))
	return s
}

func (s runcsTests) files(t *testing.T) (files []string) {
	t.Helper()
	all, err := filepath.Glob(s.dir + "/tests/integration/*.bats")
	if err != nil || len(all) == 0 {
		t.Fatalf("no tests in %s: %v", s.dir, err)
	}
	return slices.DeleteFunc(all, func(f string) bool {
		return slices.Contains(notRun, strings.TrimSuffix(filepath.Base(f), ".bats"))
	})
}

var batsPass = regexp.MustCompile(`(?m)^ok \d+ (.*?)\r?$`)

// bats runs one file, on a terminal, and gives the tests that pass and are not
// skipped. What they leave behind ends with their pid namespace.
func (w replayWorld) bats(t *testing.T, s runcsTests, file, runtime string) (passed map[string]bool, output string) {
	t.Helper()
	got := w.line(t, filepath.Dir(file), fmt.Sprintf("TMPDIR=%s/tmp RUNC=%s unshare --pid --fork --mount-proc --kill-child script -qec 'timeout 200 bats -t %s' /dev/null < /dev/null",
		s.dir, runtime, filepath.Base(file)))
	passed = map[string]bool{}
	for _, m := range batsPass.FindAllStringSubmatch(got.stdout, -1) {
		if !strings.Contains(m[1], "# skip") {
			passed[m[1]] = true
		}
	}
	return passed, got.stdout + got.stderr
}
