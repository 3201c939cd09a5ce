package present

import (
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/labs/walk"
)

// Terminal is Text with a person in front of it: it answers the worker's
// questions and passes shells through.
type Terminal struct {
	Text
	// Predict asks for a guess before each act.
	Predict bool
	keys    *keyboard
	shell   *shellSession
	guess   guess
}

// NewTerminal talks with the person at in.
func NewTerminal(text Text, in *os.File, predict bool) *Terminal {
	return &Terminal{Text: text, Predict: predict, keys: newKeyboard(in)}
}

// Event writes one event, or serves it.
func (t *Terminal) Event(e walk.Event, w *walk.Worker) {
	switch e := e.(type) {
	case walk.AskEvent:
		t.ask(e, w)
	case walk.TTYEvent:
		t.tty(e)
	case walk.StepEvent:
		t.Text.Event(e, w)
		t.reveal(e)
	default:
		t.Text.Event(e, w)
	}
}

// choice is one answer to the question what to do next.
type choice struct {
	key   byte
	words string
	reply string // "" is served here
}

const why = ""

func (t *Terminal) choices(e walk.AskEvent) []choice {
	var all []choice
	if e.At == "end" {
		all = append(all, choice{'n', "put everything back", walk.Next})
	} else {
		all = append(all, choice{'n', "next", walk.Next})
	}
	if !e.First {
		all = append(all, choice{'b', "back", walk.Back})
	}
	all = append(all, choice{'w', "why", why})
	if e.At == "before" {
		all = append(all, choice{'h', "by hand", walk.HandIt})
	}
	if e.Inside {
		all = append(all, choice{'s', "shell inside", walk.ShellIn})
	}
	return append(all, choice{'l', "shell on the lab host", walk.ShellHost}, choice{'q', "quit", walk.Quit})
}

func (t *Terminal) ask(e walk.AskEvent, w *walk.Worker) {
	if e.At == "before" && t.Predict {
		t.predict(e)
	}
	choices := t.choices(e)
	for {
		t.prompt(choices)
		picked := t.pick(choices)
		fmt.Fprintln(t.Out, t.Words.Say(picked.words))
		if picked.reply == why {
			t.explain(e)
			continue
		}
		rows, cols := t.keys.size()
		if err := w.Reply(walk.Reply{Do: picked.reply, Rows: rows, Cols: cols}); err != nil {
			t.paragraph("  ", t.say("the lab has ended: {}", err))
			return
		}
		if picked.reply == walk.ShellIn || picked.reply == walk.ShellHost {
			t.line("%s", t.Style.paint(dim, t.say("a shell in the lab; leave it with: exit")))
			t.shell = t.openShell(w)
		}
		return
	}
}

func (t *Terminal) prompt(choices []choice) {
	var words []string
	for _, c := range choices {
		words = append(words, fmt.Sprintf("[%c] %s", c.key, t.Words.Say(c.words)))
	}
	fmt.Fprintf(t.Out, "\n%s ", t.Style.paint(cyan, strings.Join(words, "  ")+" >"))
}

// pick waits for one of the keys. Enter and space are the first choice; Ctrl-C,
// Ctrl-D and a vanished terminal are the last, which is to quit.
func (t *Terminal) pick(choices []choice) choice {
	for {
		key, err := t.keys.key()
		switch {
		case err != nil || key == 3 || key == 4:
			return choices[len(choices)-1]
		case key == '\r' || key == '\n' || key == ' ':
			return choices[0]
		}
		for _, c := range choices {
			if c.key == key {
				return c
			}
		}
	}
}

// explain shows what there is to read about the step.
func (t *Terminal) explain(e walk.AskEvent) {
	parts := []int{0, 1}
	if e.At == "end" {
		parts = []int{0, 2, 3, 4}
	}
	for _, i := range parts {
		t.part(e.Lab, e.Step, i)
	}
}

// shellSession passes keys to a shell in the lab until it ends.
type shellSession struct{ end func() }

func (t *Terminal) openShell(w *walk.Worker) *shellSession {
	restore := t.keys.raw()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			case <-resized:
				rows, cols := t.keys.size()
				w.Reply(walk.Reply{Do: walk.Resize, Rows: rows, Cols: cols})
			case b, ok := <-t.keys.bytes:
				if !ok {
					return
				}
				w.Reply(walk.Reply{Do: walk.TTY, Data: b})
			}
		}
	}()
	return &shellSession{end: func() {
		close(done)
		<-stopped
		signal.Stop(resized)
		restore()
	}}
}

func (t *Terminal) tty(e walk.TTYEvent) {
	t.Out.Write(e.Data)
	if !e.Done {
		return
	}
	if t.shell != nil {
		t.shell.end()
		t.shell = nil
	}
	if e.Error != "" {
		t.paragraph("  ", t.say("the shell could not be had: {}", e.Error))
	}
}
