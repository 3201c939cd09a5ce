package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/internal/needs"
)

// variation is one change of a config.json and what is looked at in the
// container. runc runs the same bundle and is the judge.
type variation struct {
	name   string
	script string // for sh -c; its output and status are compared
	change func(*specs.Spec)
	error  string // both must fail with status 1 and say this
	differ string // why the two differ here, on purpose
}

// baseSpec is what every variation starts from.
func baseSpec(root string) *specs.Spec {
	s := Example(false)
	s.Version = "1.0.2" // the judge is older than the specification
	s.Root = &specs.Root{Path: root}
	s.Process.Terminal = false
	s.Linux.CgroupsPath = "/" + group + "/eq"
	return s
}

// TestEquivalence runs every variation with both runtimes.
func TestEquivalence(t *testing.T) {
	needs.Root(t)
	runc := needs.Program(t, "runc", "runc")
	root := testRootfs(t)
	dir := scratch(t)
	all := variations(dir)
	if len(all) < 150 {
		t.Errorf("%d variations; want at least 150", len(all))
	}
	seen := map[string]bool{}
	for _, v := range all {
		if seen[v.name] {
			t.Errorf("two variations are called %q", v.name)
		}
		seen[v.name] = true
		t.Run(v.name, func(t *testing.T) {
			bundle := writeBundle(t, dir, root, v)
			want := outcomeOf(exec.Command(runc, "--root", dir+"/runc", "run", "-b", bundle, "cutaway-eq"))
			got := outcomeOf(exec.Command("/proc/self/exe", "play-runtime", "run", dir+"/cutaway", "cutaway-eq", bundle))
			compare(t, v, got, want)
		})
	}
	for _, state := range []string{"runc", "cutaway"} {
		if left, _ := os.ReadDir(filepath.Join(dir, state)); len(left) > 0 {
			t.Errorf("%s left %v in its state directory", state, left)
		}
	}
}

func writeBundle(t *testing.T, dir, root string, v variation) string {
	t.Helper()
	s := baseSpec(root)
	s.Process.Args = []string{"/bin/sh", "-c", v.script}
	if v.change != nil {
		v.change(s)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "bundle")
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bundle+"/config.json", text, 0o644); err != nil {
		t.Fatal(err)
	}
	return bundle
}

// outcome is what a run showed to the outside.
type outcome struct {
	status         int
	stdout, stderr string
}

func outcomeOf(cmd *exec.Cmd) outcome {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	// runc's log line quotes its message.
	return outcome{cmd.ProcessState.ExitCode(), normal(out.String()), strings.ReplaceAll(errs.String(), `\"`, `"`)}
}

// peers are numbers of peer groups, which every run has others of.
var peers = regexp.MustCompile(`(shared|master|propagate_from):[0-9]+`)

func normal(s string) string { return peers.ReplaceAllString(s, "$1:N") }

func compare(t *testing.T, v variation, got, want outcome) {
	t.Helper()
	if v.error != "" {
		for who, o := range map[string]outcome{"cutaway": got, "runc": want} {
			if o.status != 1 || !strings.Contains(o.stderr, v.error) {
				t.Errorf("%s: status %d, %q; want 1 and %q", who, o.status, o.stderr, v.error)
			}
		}
		return
	}
	same := got.status == want.status && got.stdout == want.stdout
	if same && v.differ != "" {
		t.Errorf("no difference any more: %s", v.differ)
	}
	if !same && v.differ == "" {
		t.Errorf("cutaway: status %d, stdout %q, stderr %q\nrunc:    status %d, stdout %q, stderr %q",
			got.status, got.stdout, got.stderr, want.status, want.stdout, want.stderr)
	}
}
