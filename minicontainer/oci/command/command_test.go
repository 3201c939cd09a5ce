package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// run calls the runtime on a state folder of the test's own.
func run(t *testing.T, line ...string) (out, errs string, code int) {
	t.Helper()
	var o, e strings.Builder
	code = Run(append([]string{"--root", t.TempDir()}, line...), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), code
}

func TestVerbsAreMadeUnderTheirNames(t *testing.T) {
	for _, v := range verbs {
		if got := v.make(&call{}); got.name != v.name || got.short == "" || got.do == nil {
			t.Errorf("verb %q makes %q, %q", v.name, got.name, got.short)
		}
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		line     string
		mixed    bool
		args     []string
		b, words string
		on       bool
	}{
		{"box", true, []string{"box"}, ".", "", false},
		{"-b dir box", true, []string{"box"}, "dir", "", false},
		{"box --bundle=dir -d", true, []string{"box"}, "dir", "", true},
		{"-bundle dir --d=false box", true, []string{"box"}, "dir", "", false},
		{"-e A=1 --env B=2 box", true, []string{"box"}, ".", "A=1 B=2", false},
		{"-d box ls -b", false, []string{"box", "ls", "-b"}, ".", "", true},
		{"box -- -d", true, []string{"box", "-d"}, ".", "", false},
		{"box -", true, []string{"box", "-"}, ".", "", false},
		{"", true, nil, ".", "", false},
	} {
		o := newOptions()
		b, on, env := o.String("bundle", ".", ""), o.Bool("detach", false, ""), words{}
		o.Var(&env, "env", "")
		o.letter("b", "bundle")
		o.letter("d", "detach")
		o.letter("e", "env")
		args, err := o.parse(strings.Fields(test.line), test.mixed)
		if err != nil || !slices.Equal(args, test.args) || *b != test.b || *on != test.on || env.String() != test.words {
			t.Errorf("parse(%q) = %q, %v; bundle %q, detach %v, env %q; want %+v", test.line, args, err, *b, *on, env, test)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":         `no verb "bogus"`,
		"run":           "cutaway oci run <container-id>",
		"run a b":       "2 arguments",
		"list --bogus":  "not defined: -bogus",
		"--bogus list":  "not defined: -bogus",
		"events -stats": "0 arguments",
	} {
		if out, errs, code := run(t, strings.Fields(line)...); code != wrongUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("oci %s = %d, %q, %q; want %d and a word of %q", line, code, out, errs, wrongUsage, want)
		}
	}
}

func TestHelp(t *testing.T) {
	out, _, code := run(t)
	for _, v := range verbs {
		if !strings.Contains(out, "  "+v.name+" ") {
			t.Errorf("help does not tell of %s", v.name)
		}
		own, _, ownCode := run(t, v.name, "--help")
		code = max(code, ownCode)
		if !strings.Contains(own, "cutaway oci "+v.name) || !strings.Contains(own, "--root string") {
			t.Errorf("oci %s --help = %q; want its usage, and the global options", v.name, own)
		}
	}
	if code != 0 {
		t.Errorf("exit status of help = %d; want 0", code)
	}
	if own, _, _ := run(t, "run", "-h"); !strings.Contains(own, "  -b, --bundle string           folder with config.json (default .)\n") {
		t.Errorf("oci run -h = %s; want a line for --bundle", own)
	}
}

func TestList(t *testing.T) {
	for line, want := range map[string]string{
		"list":           "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n",
		"list -q":        "",
		"list -f=json":   "null\n",
		"list --root /n": "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n",
	} {
		if out, errs, code := run(t, strings.Fields(line)...); out != want || errs != "" || code != 0 {
			t.Errorf("oci %s = %q, %q, %d; want %q", line, out, errs, code, want)
		}
	}
}

func TestColumnsAreAsWideAsTheirWords(t *testing.T) {
	var out strings.Builder
	printColumns(&out, [][]string{{"ID", "OWNER"}, {"a-name-of-fifteen", "root"}, {"b", "daemon"}}, 12)
	want := "ID                  OWNER\na-name-of-fifteen   root\nb                   daemon\n"
	if out.String() != want {
		t.Errorf("printColumns = %q; want %q", out.String(), want)
	}
}

func TestSpecIsWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	if _, errs, code := run(t, "spec", "-b", dir, "--rootless"); code != 0 {
		t.Fatalf("oci spec = %d: %s", code, errs)
	}
	text, err := os.ReadFile(dir + "/config.json")
	var s specs.Spec
	if err := json.Unmarshal(text, &s); err != nil || len(s.Linux.UIDMappings) == 0 {
		t.Errorf("config.json = %s, %v; want one with a user namespace", text, err)
	}
	if _, errs, code := run(t, "spec", "-b", dir); err != nil || code != failed || !strings.Contains(errs, "Remove it first") {
		t.Errorf("oci spec again = %d, %q; want a refusal", code, errs)
	}
}

// What engines read back of a failure.
func TestFailureIsLogged(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	_, errs, code := run(t, "--log", log, "--log-format", "json", "state", "nobody")
	text, err := os.ReadFile(log)
	var line map[string]string
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatalf("log = %q: %v", text, err)
	}
	want := "runc state failed: container does not exist: nobody"
	if err != nil || code != failed || errs != want+"\n" || line["msg"] != want || line["level"] != "error" {
		t.Errorf("oci state nobody = %d, %q, log %v; want %d, %q in both", code, errs, line, failed, want)
	}
	if _, errs, code := run(t, "exec", "nobody", "ls", "-l"); code != execFailed || !strings.Contains(errs, "level=error msg=\"exec failed: ") {
		t.Errorf("oci exec nobody = %d, %q; want %d and a line of log", code, errs, execFailed)
	}
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	if got, want := logLine("text", "warning", `a "b"`, now), `time="2024-05-06T07:08:09Z" level=warning msg="a \"b\""`; got != want {
		t.Errorf("logLine = %s; want %s", got, want)
	}
}

func TestParseSignal(t *testing.T) {
	for word, want := range map[string]int{"9": 9, "KILL": 9, "sigterm": 15, "64": 64, "0": 0, "65": -1, "-1": -1, "NOPE": -1} {
		if got, err := parseSignal(word); (err == nil) != (want >= 0) || err == nil && int(got) != want {
			t.Errorf("parseSignal(%q) = %d, %v; want %d", word, got, err, want)
		}
	}
}

func TestUpdateTakesWhatWasGiven(t *testing.T) {
	c := &call{in: strings.NewReader(`{"pids": {"limit": 7}}`)}
	o := &updateOptions{memory: 1 << 20, pids: 5}
	got, err := c.resources(o, map[string]bool{"memory": true})
	limit := int64(1 << 20)
	want := specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}, CPU: &specs.LinuxCPU{}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("resources: %v\n%s", err, diff)
	}
	o.file = "-"
	if got, err := c.resources(o, nil); err != nil || got.Pids == nil || *got.Pids.Limit != 7 {
		t.Errorf("resources from standard input = %+v, %v; want 7 processes", got, err)
	}
}

func TestSuggest(t *testing.T) {
	for line, want := range map[string]string{
		" ":             "run\t",
		"--root x ":     "run\t",
		"-":             "--log-format\t",
		"run --b":       "--bundle\t",
		"run --root x ": "",
	} {
		words := strings.Split(line, " ")
		last := len(words) - 1
		got := Suggest(slices.DeleteFunc(words[:last:last], func(s string) bool { return s == "" }), words[last])
		found := slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, want) })
		if want == "" && len(got) > 0 || want != "" && !found {
			t.Errorf("Suggest(%q) = %q; want %q", line, got, want)
		}
	}
}
