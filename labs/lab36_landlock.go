package labs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/internal/landlock"
	"cutaway/labs/bench"
)

// landlockTrial compares two processes of the lab host, both root with all its
// capabilities. One of them has restricted itself to the folder "open".
var landlockTrial = trial{
	bundles: []bundle{{name: "free"}, {name: "confined"}},
	tries:   []try{tryReadOpen, tryReadClosed, tryWriteClosed},
}

var (
	tryReadOpen    = try{"read open/file", "read-open", "cat open/file"}
	tryReadClosed  = try{"read closed/file", "read-closed", "cat closed/file"}
	tryWriteClosed = try{"write closed/file", "write-closed", "echo more >> closed/file"}
)

func securityLandlockStep() bench.Step {
	t := landlockTrial
	return bench.Step{
		Name: "landlock", Reproduces: []string{"sec-lsm"}, Needs: needs("lsm.landlock"),
		Do: confine, ByHand: landlockByHand(),
		Look: []bench.View{t.view("two processes of root", statusRow("ids on the host", "Uid"), setRow("CapEff"),
			statusRow("no new privileges", "NoNewPrivs"), labelRow(),
			tryRow(tryReadOpen), tryRow(tryReadClosed), tryRow(tryWriteClosed))},
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("both are the same user", "ids on the host", 0, 1),
			evidence.ColumnsSame("both have the same capabilities", "CapEff", 0, 1),
			cells("one has given up to gain privileges, which Landlock asks for", "no new privileges", "0", "1"),
			t.outcomes("what the rules allow, both may read", tryReadOpen, "allowed", "allowed"),
			t.outcomes("what no rule allows, is refused to the confined one although it is root", tryReadClosed, "allowed", "permission denied"),
			t.outcomes("to write it as well", tryWriteClosed, "allowed", "permission denied"),
		},
	}
}

// labelRow is what AppArmor or SELinux call the process, where there is one of them.
func labelRow() trialRow {
	return trialRow{"AppArmor or SELinux label", "/proc/PID/attr/current", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/attr/current", pid))
		if label := strings.Trim(string(text), "\x00\n"); err == nil && label != "" {
			return label, nil
		}
		return "none", nil // EINVAL: no module that has labels
	}}
}

// tryFile is a request to a helper: to open a file, as cat or >> would. Before
// the first one it may restrict itself.
type tryFile struct {
	Folders []string
	Path    string
	Write   bool
}

const requestTryFile = "labs.try-file"

func init() {
	inside.Register(requestTryFile, func(_ context.Context, args json.RawMessage) (any, error) {
		var t tryFile
		if err := json.Unmarshal(args, &t); err != nil {
			return nil, err
		}
		return nil, t.do()
	})
}

// do runs on the helper's main thread, which is the one that is restricted.
func (t tryFile) do() error {
	if len(t.Folders) > 0 {
		return landlock.RestrictThread(t.Folders...)
	}
	flags := os.O_RDONLY
	if t.Write {
		flags = os.O_WRONLY | os.O_APPEND
	}
	f, err := os.OpenFile(t.Path, flags, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// confine starts both processes, lets one of them restrict itself, and both try.
func confine(ctx context.Context, b *bench.Bench) error {
	for _, dir := range []string{"open", "closed"} {
		if err := os.MkdirAll(b.Path(dir), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(b.Path(dir, "file"), []byte("text\n"), 0o644); err != nil {
			return err
		}
	}
	for _, x := range landlockTrial.bundles {
		h, err := inside.Start(ctx, inside.Config{})
		if err != nil {
			return err
		}
		if err := b.Keep(x.name, h); err != nil {
			return err
		}
		if x.name == "confined" {
			if err := h.Call(ctx, requestTryFile, tryFile{Folders: []string{b.Path("open")}}, nil); err != nil {
				return err
			}
		}
		for _, t := range landlockTrial.tries {
			err := h.Call(ctx, requestTryFile, tryFile{Path: b.Path(strings.Fields(t.name)[1]), Write: t == tryWriteClosed}, nil)
			if err := os.WriteFile(b.Path(x.name+"."+t.file), []byte(said(err)), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// said is how a shell command would have told of the error.
func said(err error) string {
	if err != nil {
		return err.Error() + "\nexit 1\n"
	}
	return "exit 0\n"
}

// landlockByHand calls Landlock from perl: util-linux's setpriv knows it only
// since version 2.40. The numbers are the same on every machine: read a file
// (4), read a folder (8) and write (2) make 14; the three calls are 444 to 446.
// The static shell needs its own folder to be readable.
func landlockByHand() bench.ByHand {
	confined := "setpriv --no-new-privs perl confine.pl open,rootfs "
	lines := []string{
		"mkdir open closed", "echo text > open/file", "echo text > closed/file",
		`echo 'my $kinds = pack("Q", 14); my $rules = syscall(444, $kinds, 8, 0);' > confine.pl`,
		`echo 'for (split /,/, shift) { sysopen(my $dir, $_, 0); my $rule = pack("Ql", 14, fileno($dir)); syscall(445, $rules, 1, $rule, 0) and die "add_rule: $!" }' >> confine.pl`,
		`echo 'syscall(446, $rules, 0) and die "restrict_self: $!"; exec @ARGV' >> confine.pl`,
		"sleep 1000 & echo $! > free.pid",
		confined + "rootfs/bin/sleep 1000 & echo $! > confined.pid",
		waitUntilRuns("confined", "sleep"),
	}
	for _, t := range landlockTrial.tries {
		command := "rootfs/bin/sh -c " + shellQuote(strings.Replace(t.command, "cat", "rootfs/bin/cat", 1))
		lines = append(lines,
			"sh -c "+shellQuote(t.command)+" > free."+t.file+" 2>&1; echo exit $? >> free."+t.file,
			confined+command+" > confined."+t.file+" 2>&1; echo exit $? >> confined."+t.file)
	}
	return bench.ByHand{Lines: bench.Lines(lines...), Tools: []bench.Tool{
		bench.Mkdir, {Program: "sh", Package: "dash"}, bench.Setpriv, {Program: "perl", Package: "perl-base"}, bench.Sleep}}
}
