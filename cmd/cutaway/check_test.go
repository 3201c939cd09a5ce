package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/probe"
)

// checkOutput runs check. The tests read files or a config only: a child of
// the test binary would be another run of the tests.
func checkOutput(t *testing.T, hooks checkHooks, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newCheckCommand(hooks)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func kernelConfig(t *testing.T, lines string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("# Linux/x86 6.1.7 Kernel Configuration\n"+lines), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheckExitCode(t *testing.T) {
	file := kernelConfig(t, "CONFIG_VETH=y\nCONFIG_OVERLAY_FS=m\n# CONFIG_DUMMY is not set\n")
	for _, c := range []struct {
		ids  []string
		want int
	}{
		{[]string{"net.veth"}, 0}, {[]string{"fs.overlay"}, 0}, {[]string{"net.dummy"}, 1},
		{[]string{"net.veth", "net.dummy"}, 1}, {[]string{"fs.btrfs"}, 3},
	} {
		_, err := checkOutput(t, checkHooks{}, append(c.ids, "--config", file)...)
		var exit exitError
		got := 0
		if errors.As(err, &exit) {
			got = exit.code
		} else if err != nil {
			t.Errorf("check %v: %v", c.ids, err)
		}
		if got != c.want {
			t.Errorf("check %v = exit %d; want %d", c.ids, got, c.want)
		}
	}
}

func TestCheckUsage(t *testing.T) {
	for _, args := range [][]string{
		{"no.such.row"}, {"--for", "nothing"}, {"--config", "/nonexistent"}, {"--passive", "--load"},
	} {
		out, err := checkOutput(t, checkHooks{}, args...)
		var usage usageError
		if !errors.As(err, &usage) || out != "" {
			t.Errorf("check %v = %q, %v; want a usage error and no output", args, out, err)
		}
	}
}

func TestCheckJSON(t *testing.T) {
	needed := func() map[probe.ID][]string { return map[probe.ID][]string{"net.dummy": {"27"}} }
	file := kernelConfig(t, "CONFIG_VETH=y\n# CONFIG_DUMMY is not set\n")
	out, err := checkOutput(t, checkHooks{NeededBy: needed}, "--json", "--config", file, "net.veth", "net.dummy")
	if !errors.As(err, new(exitError)) {
		t.Fatalf("check --json = %v; want an exit code", err)
	}
	var doc checkDocument
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&doc); err != nil || d.More() {
		t.Fatalf("stdout is not one JSON object: %v\n%s", err, out)
	}
	if doc.Exit != 1 || len(doc.Results) != 2 || len(doc.Config) == 0 {
		t.Fatalf("exit %d, %d results, %d config verdicts", doc.Exit, len(doc.Results), len(doc.Config))
	}
	row := doc.Results[1]
	if row.ID != "net.dummy" || row.State != probe.No || row.Severity != "required" || row.Fix == "" {
		t.Errorf("row = %+v", row)
	}
	if diff := cmp.Diff([]string{"27"}, row.NeededBy); diff != "" {
		t.Errorf("needed_by (-want +got):\n%s", diff)
	}
}

func TestCheckText(t *testing.T) {
	file := kernelConfig(t, "CONFIG_VETH=y\n# CONFIG_DUMMY is not set\n")
	german := func(s string) string {
		if s == "something that is required is missing" {
			return "etwas Nötiges fehlt"
		}
		return s
	}
	hooks := checkHooks{Translate: german}
	plain, _ := checkOutput(t, hooks, "--plain", "--config", file, "net.veth", "net.dummy")
	for _, want := range []string{"yes\tnet.veth\t", "no\tnet.dummy\t", "to do: ", "without it: ", "etwas Nötiges fehlt"} {
		if !strings.Contains(plain, want) {
			t.Errorf("plain output lacks %q:\n%s", want, plain)
		}
	}
	if strings.ContainsAny(plain, "│╭\x1b") {
		t.Errorf("plain output has boxes or colour:\n%s", plain)
	}
	boxed, _ := checkOutput(t, checkHooks{}, "--config", file, "net.veth")
	if !strings.Contains(boxed, "│ yes") || strings.Contains(boxed, "\x1b") {
		t.Errorf("output into a pipe; want boxes and no colour:\n%s", boxed)
	}
}

func TestExpandIDs(t *testing.T) {
	ids, err := expandIDs([]string{"dm", "iptables.legacy"})
	want := []probe.ID{"dm", "iptables.legacy.filter", "iptables.legacy.nat", "iptables.legacy.mangle", "iptables.legacy.raw"}
	if diff := cmp.Diff(want, ids); diff != "" || err != nil {
		t.Errorf("expandIDs = %v (-want +got):\n%s", err, diff)
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "abcdef": "abc…", "äöüß": "äöüß", "a\nb": "a"} {
		if got := shorten(in, 4); got != want {
			t.Errorf("shorten(%q, 4) = %q; want %q", in, got, want)
		}
	}
}

// The whole way: the program, its children, the labs' needs, as root and as an
// ordinary user.
func TestCheckLive(t *testing.T) {
	for name, s := range map[string]*session{"caller": newSession(t), "nobody": newSession(t).asNobody()} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			r := s.run("check", "--json")
			var doc checkDocument
			if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
				t.Fatalf("stdout is not one JSON object: %v\n%s%s", err, r.stdout, r.stderr)
			}
			if doc.Exit != r.code || len(doc.Results) != len(probe.All()) || r.stderr != "" {
				t.Errorf("exit %d, in the document %d; %d of %d rows; stderr %q", r.code, doc.Exit, len(doc.Results), len(probe.All()), r.stderr)
			}
			for _, row := range doc.Results {
				if strings.Contains(row.Reason, "died") || strings.Contains(row.Reason, "no answer") {
					t.Errorf("%s: %s", row.ID, row.Reason)
				}
			}
			if r := s.run("check", "--lang", "zh", "--plain", "caps"); r.code != 0 || r.stdout == "" {
				t.Errorf("check --lang zh caps = %+v", r)
			}
			if r := s.run("check", "no.such.row"); r.code != exitUsage || r.stdout != "" || r.stderr == "" {
				t.Errorf("check no.such.row = %+v; want exit %d and a word on stderr", r, exitUsage)
			}
		})
	}
}
