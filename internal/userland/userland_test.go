package userland

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"cutaway/internal/userland/names"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "64k": 64 << 10, "64M": 64 << 20, "1GB": 1 << 30, "x": -1, "-1": -1, "": -1, "9999999t": -1} {
		got, err := parseSize(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"1": time.Second, "0.5": time.Second / 2, "2m": 2 * time.Minute, "1d": 24 * time.Hour, "x": -1, "-1": -1, "1e30": -1} {
		got, err := parseSeconds(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("parseSeconds(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseMode(t *testing.T) {
	for _, c := range []struct {
		text string
		now  fs.FileMode
		want string // of modeText, "" for an error
	}{
		{"644", 0, "-rw-r--r--"}, {"4755", 0, "-rwsr-xr-x"}, {"1777", fs.ModeDir, "-rwxrwxrwt"}, {"u+x", 0o644, "-rwxr--r--"},
		{"go-r", 0o644, "-rw-------"}, {"a=r", 0o777, "-r--r--r--"}, {"+x,o-x", 0o600, "-rwx--x---"}, {"u+s", 0o755, "-rwsr-xr-x"}, {"u+s", 0o644, "-rwSr--r--"},
		{"u=", 0o777, "----rwxrwx"}, {"9", 0, ""}, {"z+x", 0, ""}, {"u+q", 0, ""}, {"", 0, ""},
	} {
		got, err := parseMode(c.text, c.now)
		if text := modeText(got); (err != nil) != (c.want == "") || err == nil && text != c.want {
			t.Errorf("parseMode(%q, %v) = %s, %v; want %s", c.text, c.now, text, err, c.want)
		}
	}
}

func TestBasicExpressions(t *testing.T) {
	for text, want := range map[string]string{`a+b`: `a\+b`, `a\+b`: `a+b`, `\(x\)`: `(x)`, `f(x)`: `f\(x\)`, `a\.b`: `a\.b`, `^a*$`: `^a*$`, `x\`: `x\`} {
		if got := basic(text); got != want {
			t.Errorf("basic(%q) = %q; want %q", text, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for list, want := range map[string][]int{"1": {1}, "1,3": {1, 3}, "2-4": {2, 3, 4}, "-2": {1, 2}, "4-": {4, 5}, "x": nil, "": nil, "-": nil, "1,,2": nil} {
		ask, err := numbers(list)
		var got []int
		for n := 1; err == nil && n <= 5; n++ {
			if ask(n) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("numbers(%q) = %v, %v; want %v", list, got, err, want)
		}
	}
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		line, in, out, errs string
		code                int
	}{
		{"nosuch", "", "", "nosuch: applet not found\n", 127},
		{"cat /nonexistent", "", "", "cat: /nonexistent: No such file or directory\n", 1},
		{"cat -", "x", "x", "", 0},
		{"head -n 1", "a\nb\n", "a\n", "", 0},
		{"head --nope", "", "", "head: unknown flag: --nope\nUsage: head [-n LINES] [-c BYTES] [FILE]...\n", 2},
		{"rmdir", "", "", "rmdir: missing operand\nUsage: rmdir FOLDER...\n", 2},
		{"grep x", "y\n", "", "", 1},
		{"grep [", "", "", "grep: error parsing regexp: missing closing ]: `[`\n", 2},
		{"rm -r /", "", "", "rm: refusing to remove /\n", 1},
		{"chmod 777", "", "", "chmod: want [-R] MODE FILE\n", 1},
		{"kill -NOPE 1", "", "", "kill: NOPE: no such signal (kill -l lists them)\n", 1},
		{"sh -c", "", "", "sh: -c wants commands\n", 1},
		{"stress --vm-bytes x -m 1", "", "", "stress: size \"x\": want a number with an optional k, m, g or t\n", 1},
	} {
		args := strings.Fields(c.line)
		var out, errs bytes.Buffer
		code := Run(args[0], args[1:], strings.NewReader(c.in), &out, &errs)
		if code != c.code || out.String() != c.out || errs.String() != c.errs {
			t.Errorf("%s = %d, %q, %q; want %d, %q, %q", c.line, code, out.String(), errs.String(), c.code, c.out, c.errs)
		}
	}
}

// TestNames: the list that images are made from has each program of the table,
// once, and none that is for nobody.
func TestNames(t *testing.T) {
	var want []string
	for _, a := range table {
		if !a.hidden {
			want = append(want, a.name)
		}
	}
	slices.Sort(want)
	if got := names.Images(); !slices.Equal(got, want) || len(slices.Compact(want)) != len(got) {
		t.Errorf("names.Images() = %q; the table has %q", got, want)
	}
}

func FuzzParsers(f *testing.F) {
	for _, seed := range []string{"64M", "0.5m", "u+x,g-w", "1,3-4", `a\(b\)`, "[:upper:]a-z", "ro,size=1m", "user:www"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil && n < 0 {
			t.Errorf("parseSize(%q) = %d", text, n)
		}
		if d, err := parseSeconds(text); err == nil && d < 0 {
			t.Errorf("parseSeconds(%q) = %v", text, d)
		}
		if m, err := parseMode(text, 0o644); err == nil && m&^(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
			t.Errorf("parseMode(%q) = %v", text, m)
		}
		numbers(text)
		basic(text)
		splitOptions(text)
		plainPath(text)
		if len(text) < 100 {
			characters(text)
		}
	})
}
