package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// patience is how long one row may take. In cutaway's own VM the processor is
// often emulated, and twenty times slower.
func patience() time.Duration {
	if os.Getenv("CUTAWAY_VM") != "" {
		return 20 * time.Second
	}
	return 2 * time.Second
}

// A worker owns one place and answers the rows that run there, one after the
// other. Its child is started at the first row and again after every death.
type worker struct {
	place  place
	caller caller
	scene  scene
	child  *child
}

// child is a running probe process.
type child struct {
	cmd     *exec.Cmd
	ask     *os.File
	answers chan []byte // closed when the child is gone
	stderr  *bytes.Buffer
}

// run answers the rows in order. The goroutine keeps its thread: Pdeathsig
// is sent when the thread that started a child dies, not the process.
func (w *worker) run(ctx context.Context, rows []Probe, done func(Probe, Finding, time.Duration)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer w.stop()
	for _, row := range rows {
		begin := time.Now()
		finding := w.answer(ctx, row)
		done(row, finding, time.Since(begin))
	}
}

// answer gets one row out of the child. A child that hangs or dies costs this
// row and no other.
func (w *worker) answer(ctx context.Context, row Probe) Finding {
	if ctx.Err() != nil {
		return Finding{State: Unknown, Reason: "not asked: " + ctx.Err().Error()}
	}
	if w.child == nil {
		if err := w.start(); err != nil {
			return w.unstarted(err)
		}
	}
	line, _ := json.Marshal(request{Live: row.Live, Scene: w.scene})
	_, _ = w.child.ask.Write(append(line, '\n')) // a dead child shows below
	select {
	case reply, alive := <-w.child.answers:
		var f Finding
		if alive && json.Unmarshal(reply, &f) == nil {
			return f
		}
		return Finding{State: Unknown, Reason: "the probe's process died: " + w.stop()}
	case <-time.After(patience()):
		w.stop()
		return Finding{State: Unknown, Reason: fmt.Sprintf("no answer within %v", patience())}
	case <-ctx.Done():
		w.stop()
		return Finding{State: Unknown, Reason: "not asked: " + ctx.Err().Error()}
	}
}

// unstarted says what it means that there is no child to ask.
func (w *worker) unstarted(err error) Finding {
	f := asked(fmt.Sprintf("clone(%s)", cloneNames(w.place.flags(w.caller))), err, verdict{})
	if w.place == stranger {
		f.State = Unknown
		return f.because("this process cannot become an ordinary user, or its program file is not for everybody to run")
	}
	if w.place.userns(w.caller) {
		f = explainUserns(f, readUsernsPolicy(""))
	}
	return f.because("the throwaway child could not be started")
}

// start makes the child and begins to read its answers.
func (w *worker) start() error {
	askR, askW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer askR.Close()
	answerR, answerW, err := os.Pipe()
	if err != nil {
		askW.Close()
		return err
	}
	defer answerW.Close()
	c := &child{ask: askW, answers: make(chan []byte), stderr: new(bytes.Buffer)}
	c.cmd = &exec.Cmd{
		Path: self, Args: []string{childName, "serve", string(w.place)},
		Env: append(os.Environ(), "LC_ALL=C"), Dir: "/",
		ExtraFiles: []*os.File{askR, answerW}, Stderr: c.stderr,
		SysProcAttr: w.place.attr(w.caller),
		// A process that a probe left behind holds stderr open: do not wait for it.
		WaitDelay: 100 * time.Millisecond,
	}
	if err := c.cmd.Start(); err != nil {
		askW.Close()
		answerR.Close()
		return err
	}
	go c.listen(answerR)
	w.child = c
	return nil
}

// listen hands on one line per answer until the child closes its end.
func (c *child) listen(r *os.File) {
	defer r.Close()
	defer close(c.answers)
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		c.answers <- bytes.Clone(in.Bytes())
	}
}

// stop ends the child, if there is one, and says how it ended.
func (w *worker) stop() string {
	if w.child == nil {
		return ""
	}
	c := w.child
	w.child = nil
	c.ask.Close()
	_ = c.cmd.Process.Kill()
	go func() {
		for range c.answers { // lets listen finish
		}
	}()
	_ = c.cmd.Wait()
	first, _, _ := bytes.Cut(c.stderr.Bytes(), []byte("\n"))
	return c.cmd.ProcessState.String() + " " + string(first)
}
