package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/engine"
	"cutaway/internal/needs"
)

var (
	recordEngine = flag.Bool("record-engine", false, "write down anew what Docker Engine answers to testdata/replay.txt")
	onlySequence = flag.String("sequences", "", "replay only the sequences whose names match")
)

//go:embed testdata/replay.txt
var replayText string

const recordingPath = "testdata/replay.docker.txt"

// TestReplay types the sequences of testdata/replay.txt and compares exit codes
// and output with what Docker Engine answered (testdata/replay.docker.txt), and
// whether there was an error message. Where the two are meant to differ, the
// sequence says why; a difference that has gone is an error as well.
func TestReplay(t *testing.T) {
	needs.Root(t)
	recorded, err := os.ReadFile(recordingPath)
	if err != nil {
		t.Fatal(err)
	}
	engine := parseRecording(t, string(recorded))
	ours := newReplayWorld(t)
	for _, seq := range selected(t) {
		t.Run(seq.name, func(t *testing.T) {
			want, ok := engine[seq.name]
			if !ok || len(want) != len(seq.lines) {
				t.Fatal("Docker Engine's answers are not recorded: go test ./cmd/cutaway -run TestReplayOnEngine -record-engine")
			}
			for i, got := range ours.replay(t, seq) {
				line := seq.lines[i]
				diff := cmp.Diff(want[i].compared(), got.compared())
				switch {
				case diff != "" && line.differs == "":
					t.Errorf("$ %s\n(-Docker Engine +cutaway):\n%s\nDocker's stderr: %sours: %s", line.text, diff, want[i].stderr, got.stderr)
				case diff == "" && line.differs != "":
					t.Errorf("$ %s: no difference any more; was: %s", line.text, line.differs)
				}
			}
		})
	}
}

// TestReplayOnEngine asks a real engine again. With -record-engine its answers
// become what TestReplay compares with.
func TestReplayOnEngine(t *testing.T) {
	needs.Root(t)
	if testing.Short() {
		t.Skip("-short: minutes with Docker Engine; make test-guest")
	}
	engine := newEngineWorld(t)
	recorded, err := os.ReadFile(recordingPath)
	if err != nil && !*recordEngine {
		t.Fatal(err)
	}
	was, is := parseRecording(t, string(recorded)), map[string][]answer{}
	for _, seq := range selected(t) {
		is[seq.name] = engine.replay(t, seq)
	}
	if *recordEngine {
		record(t, was, is)
		return
	}
	for name, answers := range is {
		for i, a := range answers {
			if diff := cmp.Diff(was[name][i].compared(), a.compared()); diff != "" {
				t.Errorf("%s: Docker Engine answers otherwise now (-recorded +now):\n%s", name, diff)
			}
		}
	}
}

// record writes the recording: what is new, and what was recorded of the rest.
func record(t *testing.T, was, is map[string][]answer) {
	t.Helper()
	var out strings.Builder
	for _, seq := range parseReplay(t, replayText) {
		answers, ok := is[seq.name]
		if !ok {
			answers = was[seq.name]
		}
		fmt.Fprintf(&out, "== %s\n", seq.name)
		for i, a := range answers {
			out.WriteString(a.record(seq.lines[i].text))
		}
	}
	if err := os.WriteFile(recordingPath, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// selected are the sequences that -sequences names.
func selected(t *testing.T) []sequence {
	t.Helper()
	only := regexp.MustCompile(*onlySequence)
	return slices.DeleteFunc(parseReplay(t, replayText), func(s sequence) bool { return !only.MatchString(s.name) })
}

// sequence is a list of shell lines that belong together.
type sequence struct {
	name  string
	lines []replayLine
}

type replayLine struct {
	text    string
	differs string // why cutaway answers otherwise than Docker
}

func parseReplay(t *testing.T, text string) []sequence {
	t.Helper()
	var all []sequence
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "== "); ok {
			all = append(all, sequence{name: name})
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") || len(all) == 0 {
			continue
		}
		seq := &all[len(all)-1]
		if why, ok := strings.CutPrefix(line, "~ "); ok {
			seq.lines[len(seq.lines)-1].differs = why
			continue
		}
		seq.lines = append(seq.lines, replayLine{text: line})
	}
	return all
}

// answer is what a line came to. Ids and times in it are replaced.
type answer struct {
	code           int
	stdout, stderr string
}

// compared is the part of an answer that must be the same. The words of an error
// are each program's own.
func (a answer) compared() string {
	return fmt.Sprintf("exit code %d\nerror message: %v\n%s", a.code, a.stderr != "", a.stdout)
}

// record is the answer as it stands in the recording.
func (a answer) record(line string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ %s\n= %d\n", line, a.code)
	for out := range strings.Lines(a.stdout) {
		fmt.Fprintf(&b, "1 %s\n", strings.TrimSuffix(out, "\n"))
	}
	for out := range strings.Lines(a.stderr) {
		fmt.Fprintf(&b, "2 %s\n", strings.TrimSuffix(out, "\n"))
	}
	return b.String()
}

func parseRecording(t *testing.T, text string) map[string][]answer {
	t.Helper()
	all, name := map[string][]answer{}, ""
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		last := len(all[name]) - 1
		switch kind {
		case "==":
			name = rest
		case "$":
			all[name] = append(all[name], answer{})
		case "=":
			fmt.Sscan(rest, &all[name][last].code)
		case "1":
			all[name][last].stdout += rest + "\n"
		case "2":
			all[name][last].stderr += rest + "\n"
		}
	}
	return all
}

// replaced are the parts of an output that are another one each time.
var replaced = []struct {
	expr *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "<id>"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "<short id>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "<time>"},
	{regexp.MustCompile(`(?m)\r$`), ""}, // newer clients end some errors with it
	{regexp.MustCompile(`\bcutaway-(replay|engine)[^ /:]*`), "<folder>"},
}

func masked(text string) string {
	for _, r := range replaced {
		text = r.expr.ReplaceAllString(text, r.by)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// replayWorld is a place where "d" is one of the two programs.
type replayWorld struct {
	dir   string
	enter []string // the command that runs a command where the program lives
}

// replay runs the lines of a sequence in an empty folder.
func (w replayWorld) replay(t *testing.T, seq sequence) []answer {
	t.Helper()
	cwd, err := os.MkdirTemp(w.dir, "cutaway-replay-cwd-")
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	for _, line := range seq.lines {
		answers = append(answers, w.line(t, cwd, line.text))
	}
	return answers
}

func (w replayWorld) line(t *testing.T, cwd, line string) answer {
	t.Helper()
	// Not the test's own context: it is over when the cleaning begins.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	script := `cd "$0" && PATH=$1:$PATH && eval "$2"`
	args := append(w.enter[1:], "sh", "-c", script, cwd, filepath.Join(w.dir, "d"), line)
	cmd := exec.CommandContext(ctx, w.enter[0], args...)
	cmd.WaitDelay = time.Second // a container in the background must not keep the line open
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("$ %s: %v", line, err)
	}
	if ctx.Err() != nil {
		t.Errorf("$ %s: no end within a minute", line)
	}
	return answer{cmd.ProcessState.ExitCode(), masked(out.String()), masked(errs.String())}
}

// program makes "d".
func (w replayWorld) program(t *testing.T, command string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nexec " + command + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(w.dir, "d", "d"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// must runs a line that belongs to the preparations.
func (w replayWorld) must(t *testing.T, line string) {
	t.Helper()
	if a := w.line(t, w.dir, line); a.code != 0 {
		t.Fatalf("$ %s: exit code %d, %s%s", line, a.code, a.stdout, a.stderr)
	}
}

// dataImage imports the image "data": busybox with a volume that has a file.
const dataImage = `mkdir -p rootfs/data && echo content > rootfs/data/file && chmod 640 rootfs/data/file && chown 1000:1000 rootfs/data/file &&
	tar -C rootfs -c . | d import --change 'VOLUME /data' --change 'CMD ["cat","/data/file"]' - data`

// plainImage imports the image "busybox", the same for both programs.
const plainImage = `mkdir -p rootfs/bin rootfs/etc rootfs/tmp && cp "$(command -v busybox)" rootfs/bin/busybox &&
	for a in $(busybox --list); do [ $a = busybox ] || ln -sf busybox rootfs/bin/$a; done &&
	echo 'root:x:0:0::/root:/bin/sh' > rootfs/etc/passwd && tar -C rootfs -c . | d import - busybox`

// hold makes a mount and a network namespace that are entered for each line, and
// prepares them.
func (w *replayWorld) hold(t *testing.T, prepare string) (stop func()) {
	t.Helper()
	holder := exec.Command("unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", prepare+" && echo ready && exec sleep 3600")
	ready, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ready.Read(make([]byte, 6))
	w.enter = []string{"nsenter", "--mount", "--net", "--target", fmt.Sprint(holder.Process.Pid)}
	return func() {
		holder.Process.Kill()
		holder.Wait()
	}
}

// newReplayWorld is cutaway in a mount and a network namespace of its own.
func newReplayWorld(t *testing.T) replayWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "cutaway-replay-")
	if err != nil {
		t.Fatal(err)
	}
	w := replayWorld{dir: dir}
	w.program(t, fmt.Sprintf("env %s=1 %s --root %s/root --run-dir %s/cutaway --cgroups cutaway/%s",
		actAsProgram, executable(), dir, dir, filepath.Base(dir)))
	stop := w.hold(t, "ip link set lo up")
	t.Cleanup(func() {
		w.line(t, dir, "d ps -aq | xargs -r busybox env PATH=$PATH d rm -f")
		stop()
		removeGroups(filepath.Base(dir))
		os.RemoveAll(dir)
	})
	w.must(t, plainImage)
	w.must(t, dataImage)
	return w
}

// newEngineWorld is a real Docker Engine, with more flags for dockerd.
func newEngineWorld(t *testing.T, flags ...string) replayWorld {
	t.Helper()
	needs.Program(t, "busybox", "busybox-static")
	e := engine.Start(t, "", flags...)
	w := replayWorld{dir: e.Dir, enter: e.Inside()}
	w.program(t, strings.Join(e.Client(), " "))
	w.must(t, plainImage)
	w.must(t, dataImage)
	return w
}
