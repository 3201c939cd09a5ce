package labs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/minicontainer/launch"
	"cutaway/nsdemo"
)

// program is this program in another role, as a process of the lab's.
type program struct{ cmd *exec.Cmd }

// startProgram starts `cutaway ARGS`. It dies with the bench, or by the sweep that
// intendEngine has put into the journal. PR_SET_PDEATHSIG would be wrong here: it
// tells of the thread's end that started it, and threads that have been in other
// namespaces end.
func startProgram(b *bench.Bench, name string, args ...string) error {
	out, err := os.Create(b.Path(name + ".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command("cutaway", args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start cutaway %s: %w", strings.Join(args, " "), err)
	}
	return b.Keep(name, program{cmd})
}

// Pid is its process id.
func (p program) Pid() int { return p.cmd.Process.Pid }

// Close ends it, if it has not been ended.
func (p program) Close() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	p.cmd.Wait() // that it was killed is no news
	return nil
}

// killNamed kills a process, whoever started it, and waits until it is gone.
func killNamed(ctx context.Context, b *bench.Bench, name string) error {
	pid, err := b.Pid(name)
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("kill(%d, SIGKILL): %w", pid, err)
	}
	return waitFor(ctx, "the "+name+" has ended", func() bool { _, err := b.Pid(name); return err != nil })
}

// reply is what came back of a request.
type reply struct{ question, status, body string }

// ask writes a request to the socket and reads what comes back, as text: that is
// all that a client does.
func ask(method, path, body string) reply {
	a := reply{status: evidence.Absent, body: evidence.Absent}
	a.question = fmt.Sprintf("%s /v1.41%s HTTP/1.1\r\nHost: cutaway\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	conn, err := net.Dial("unix", socketName)
	if errors.Is(err, unix.ECONNREFUSED) { // the file is there, and nobody behind it
		a.status = "connection refused"
	}
	if err != nil {
		return a
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, a.question)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return a
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	a.status, a.body = r.Proto+" "+r.Status, strings.TrimSpace(string(text))
	return a
}

func firstOf(text string) string {
	first, _, _ := strings.Cut(text, "\r\n")
	return first
}

// shortened is as much of a text as fits into a line.
func shortened(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}

// chain are the processes behind the container, by what each is.
func chain(b *bench.Bench) map[string]int {
	pids := map[string]int{"shim": shimOf(containerID(b, talker))}
	for name, file := range map[string]string{"client": "client", "daemon": "daemon", "container": talker} {
		if pid, err := b.Pid(file); err == nil {
			pids[name] = pid
		}
	}
	return pids
}

// shimOf finds the shim of a container by its command line; 0 for none.
func shimOf(id string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if strings.HasPrefix(string(text), launch.ShimName+"\x00"+id+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	return 0
}

func parentsView() bench.View {
	return bench.View{Title: "who is whose parent", Columns: []string{"pid", "program", "parent", "the parent's program"}, Read: readParents}
}

func readParents(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	pids := chain(b)
	for _, name := range []string{"client", "daemon", "shim", "container"} {
		values := []string{evidence.Absent, evidence.Absent, evidence.Absent, evidence.Absent}
		if s, err := nsdemo.ReadStatus("/proc", pids[name]); err == nil && pids[name] != 0 {
			values = []string{fmt.Sprint(s.Pid), programOf(s.Pid), fmt.Sprint(s.PPid), programOf(s.PPid)}
		}
		facts = append(facts, evidence.F(name, "PPid in /proc/PID/status, /proc/PID/cmdline", values...))
	}
	return facts, nil
}

// programOf is a process's command line, as far as it tells what it is.
func programOf(pid int) string {
	words := strings.Fields(commandLine(pid))
	if len(words) == 0 {
		return "kernel"
	}
	words[0] = filepath.Base(words[0])
	if words[0] == launch.ShimName || len(words) > 5 {
		words = append(words[:1:1], "...")
	}
	return strings.Join(words, " ")
}

// hasParent claims that one process of the chain is the parent of another.
func hasParent(claim, child, parent string) evidence.Expectation {
	return evidence.Custom(claim, []string{child, parent}, func(o evidence.Observed) evidence.Verdict {
		has, want := o.After.Column(child, 2), o.After.Column(parent, 0)
		return evidence.Judged(has == want && want != evidence.Absent, "parent "+want, has)
	})
}

// hasOtherParent claims that it is not, though both are there.
func hasOtherParent(claim, child, parent string) evidence.Expectation {
	return evidence.Custom(claim, []string{child, parent}, func(o evidence.Observed) evidence.Verdict {
		has, not := o.After.Column(child, 2), o.After.Column(parent, 0)
		return evidence.Judged(has != not && has != evidence.Absent && not != evidence.Absent, "a parent other than "+not, has)
	})
}

// readApiSocket reads the socket's file, and what the runtime has left.
func readApiSocket(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	mode, owner, record := evidence.Absent, evidence.Absent, evidence.Absent
	var st unix.Stat_t
	if unix.Stat(socketName, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		mode = "s" + os.FileMode(st.Mode & 0o777).String()[1:]
		owner = fmt.Sprintf("%d:%d", st.Uid, st.Gid)
	}
	id := containerID(b, talker)
	if id != evidence.Absent {
		err := withEngine(b, func(e *minicontainer.Engine) error {
			if c, err := e.Runtime.Open(id); err == nil {
				record = string(c.Status())
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []evidence.Fact{
		evidence.F("socket's mode", "stat(2) "+socketName, mode),
		evidence.F("socket's owner", "stat(2) "+socketName, owner),
		evidence.F("runtime's record", "cutaway oci --root run/engine/oci state "+minicontainer.ShortID(id)+"...", record),
	}, nil
}
