package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cutaway/internal/needs"
)

// The runtime specification has programs that check a runtime: the validation
// folder of opencontainers/runtime-tools. Each of them makes containers and says
// in the Test Anything Protocol what holds and what does not. Some of what they
// ask for no kernel has any more, so runc is asked as well: what holds of runc has
// to hold here.

// otherwiseOnPurpose is what holds of runc only, by program and words of the
// statement, and why.
var otherwiseOnPurpose = []struct{ program, words, why string }{
	{"linux_ns_itype", "", "it leaves out the mount namespace too, and a root without one would be a chroot"},
	{"mounts", "(/mnt/etc-", "the sources of bind mounts are cloned before all mounts are made, in order, and " +
		"from Linux 6.8 on /proc/PID/mountinfo has the oldest first"},
}

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: minutes of some sixty programs, each twice; make test-guest")
	}
	needs.Root(t)
	runc := needs.Program(t, "runc", "runc")
	w, name := newCallerWorld(t)
	suite := fetchSpecSuite(t, w.dir+"/suite", name)
	ours := newCallee(t)
	if err := os.Mkdir(w.dir+"/tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	judged, held := 0, 0
	for _, program := range suite.build(t) {
		t.Run(filepath.Base(program), func(t *testing.T) {
			want, _ := w.validate(t, suite, program, runc)
			got, output := w.validate(t, suite, program, ours.program)
			judged, held = judged+len(want), held+len(got)
			for text := range want {
				if !got[text] && !isOnPurpose(filepath.Base(program), text) {
					t.Errorf("holds of runc, and not here: %s\n%s", text, output)
				}
			}
		})
	}
	if judged == 0 {
		t.Error("nothing holds of runc: what it is to be the judge of was not asked")
	}
	t.Logf("%d statements hold, and %d of runc", held, judged)
	ours.wantCalls(t, "create", "start", "state", "kill", "delete")
}

func isOnPurpose(program, text string) bool {
	for _, o := range otherwiseOnPurpose {
		if o.program == program && strings.Contains(text, o.words) {
			return true
		}
	}
	return false
}

var statement = regexp.MustCompile(`(?m)^ *ok \d+(?: - )?(.*)$`)

// validate runs one program and gives what it says that holds.
func (w replayWorld) validate(t *testing.T, s specSuite, program, runtime string) (holds map[string]bool, output string) {
	t.Helper()
	got := w.line(t, s.dir, fmt.Sprintf("TMPDIR=%s/tmp RUNTIME=%s timeout 120 %s", w.dir, runtime, program))
	holds = map[string]bool{}
	for _, m := range statement.FindAllStringSubmatch(got.stdout, -1) {
		holds[m[1]] = true
	}
	return holds, got.stdout + got.stderr
}

// specSuite is the suite's sources in a folder of ours.
type specSuite struct{ dir, goTool string }

const specSuiteModule = "github.com/opencontainers/runtime-tools@v0.9.0"

// fetchSpecSuite copies the sources to dir; their cgroups get our name.
func fetchSpecSuite(t *testing.T, dir, name string) specSuite {
	t.Helper()
	s := specSuite{dir, needs.Program(t, "go", "golang")}
	fetchModule(t, specSuiteModule, dir)
	pins, err := os.ReadFile("testdata/conformance.mod") // the suite is older than go.mod
	if err == nil {
		err = os.WriteFile(dir+"/go.mod", pins, 0o644)
	}
	if err == nil {
		err = replaceInSources(dir, strings.NewReplacer(
			`"cgrouptest"`, `"`+name+`"`, `"/cgrouptest"`, `"/`+name+`"`, `"testdir/cgrouptest/`, `"`+name+`/in/`,
			// Of bind mounts, where they mean nothing: runc refuses them too from 1.2 on.
			`"mode=755",`, ``, `"size=1k",`, ``))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fetchModule copies a module's sources to dir.
func fetchModule(t *testing.T, name, dir string) {
	t.Helper()
	out, err := exec.Command(needs.Program(t, "go", "golang"), "mod", "download", "-json", name).Output()
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &module); err != nil || jsonErr != nil {
		needs.Missing(t, "a Go module proxy to fetch "+name+" from: "+module.Error)
	}
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		t.Fatal(err)
	}
}

func replaceInSources(dir string, r *strings.Replacer) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(r.Replace(string(text))), 0o644)
	})
}

// build builds what runs inside of the containers, and the programs.
func (s specSuite) build(t *testing.T) (programs []string) {
	t.Helper()
	s.buildOne(t, s.dir+"/runtimetest", "./cmd/runtimetest")
	folders, err := filepath.Glob(s.dir + "/validation/[a-z]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if name := filepath.Base(folder); name != "util" {
			programs = append(programs, folder+"/"+name)
			s.buildOne(t, folder+"/"+name, "./validation/"+name)
		}
	}
	return programs
}

func (s specSuite) buildOne(t *testing.T, output, pkg string) {
	t.Helper()
	cmd := exec.Command(s.goTool, "build", "-mod=mod", "-o", output, pkg)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
}
