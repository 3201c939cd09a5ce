package present

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"cutaway/internal/evidence"
	"cutaway/labs/lesson"
	"cutaway/labs/walk"
)

// Text writes events as text for a person.
type Text struct {
	Out   io.Writer
	Words *lesson.Words
	Style Style
	// Prose shows why, what happened and where it matters around each step.
	Prose bool
	// Keys name the lessons of the labs.
	Keys LabKeys
}

// Event writes one event.
func (t *Text) Event(e walk.Event, _ *walk.Worker) {
	switch e := e.(type) {
	case walk.LabEvent:
		t.lab(e)
	case walk.StepEvent:
		t.step(e)
	case walk.ByHandEvent:
		t.byHand(e)
	case walk.EvidenceEvent:
		t.evidence(e)
	case walk.PlotEvent:
		t.plot(e)
	case walk.DrawingEvent:
		t.drawing(e)
	case walk.ExpectEvent:
		t.expect(e)
	case walk.SummaryEvent:
		t.summary(e)
	}
}

func (t *Text) say(english string, gaps ...any) string { return t.Words.Sayf(english, gaps...) }

func (t *Text) line(format string, args ...any) { fmt.Fprintf(t.Out, format+"\n", args...) }

// paragraph writes wrapped text with a margin.
func (t *Text) paragraph(margin, text string) {
	t.line("%s", indent(margin, wrap(text, t.Style.width()-len(margin))))
}

func (t *Text) lab(e walk.LabEvent) {
	if e.State == walk.Start {
		l := t.lesson(e.Lab)
		t.line("\n%s", t.Style.paint(bold, t.say("Lab {}: {}", e.Lab, l.Title)))
		t.line("%s", t.Style.paint(dim, t.say("performed on: {}, kernel {}", t.Words.Say(placeWords()[e.Where]), e.Kernel)))
		if t.Prose && l.Intro != "" {
			t.line("")
			t.paragraph("", prose(l.Intro))
		}
		return
	}
	t.line("\n%s  %s", t.verdict(e.State), t.say("lab {} in {} s", e.Lab, fmt.Sprintf("%.2f", e.Seconds)))
	if e.Reason != "" {
		t.paragraph("      ", t.Words.Say(e.Reason))
	}
	t.residue(e.Residue)
	t.others(e.Others)
}

// others names a few of the changes that carry no trace of this run; a busy
// machine has many.
func (t *Text) others(changes []string) {
	const few = 3
	for i, change := range changes {
		if i == few {
			t.line("      %s", t.say("and {} more; --json lists them all", len(changes)-few))
			return
		}
		t.line("      %s", t.say("changed meanwhile by others: {}", change))
	}
}

func (t *Text) residue(residue []string) {
	if len(residue) == 0 {
		t.line("      %s", t.say("residue: none"))
	}
	for _, change := range residue {
		t.line("      %s", t.Style.paint(red, t.say("residue: {}", change)))
	}
}

var placeWords = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"host":   "this machine",
		"userns": "this machine, in a user namespace",
		"vm":     "a virtual machine",
	}
})

var stateWords = sync.OnceValue(func() map[walk.State]string {
	return map[walk.State]string{walk.Pass: "PASS", walk.Fail: "FAIL", walk.Untested: "UNTESTED"}
})
var stateColors = sync.OnceValue(func() map[walk.State]string {
	return map[walk.State]string{walk.Pass: green, walk.Fail: red, walk.Untested: yellow}
})

func (t *Text) verdict(s walk.State) string {
	return t.Style.paint(stateColors()[s], t.say(stateWords()[s]))
}

func (t *Text) step(e walk.StepEvent) {
	section := t.section(e.Lab, e.Step)
	if e.State == walk.Start {
		head := t.say("Step {} of {}: {}", e.Number, e.Of, e.Step)
		if section.Title != "" {
			head = t.say("Step {} of {}: {}, {}", e.Number, e.Of, e.Step, section.Title)
		}
		t.line("\n%s", t.Style.paint(bold, head))
		if len(e.Reproduces) > 0 {
			t.line("%s", t.Style.paint(dim, t.say("experiments: {}", strings.Join(e.Reproduces, ", "))))
		}
		if t.Prose {
			t.part(e.Lab, e.Step, 0)
		}
		return
	}
	if t.Prose && e.State == walk.Pass {
		t.part(e.Lab, e.Step, 2)
		t.part(e.Lab, e.Step, 3)
	}
	t.line("  %s  %s", t.verdict(e.State), t.Style.paint(dim, t.say("step {} in {} s", e.Step, fmt.Sprintf("%.2f", e.Seconds))))
	if e.Reason != "" {
		t.paragraph("        ", t.Words.Term(t.key(e.Lab), e.Reason))
	}
}

// part writes one part of a step's prose under its heading.
func (t *Text) part(lab, step string, i int) {
	part := t.section(lab, step).Parts(t.Words.Lang)[i]
	if part[1] != "" {
		t.line("\n  %s", t.Style.paint(cyan, part[0]))
		t.paragraph("  ", prose(part[1]))
	}
}

func (t *Text) byHand(e walk.ByHandEvent) {
	if e.None != "" {
		t.paragraph("  ", t.say("By hand: no shell equivalent; {}", t.Words.Term(t.key(e.Lab), e.None)))
	}
	if len(e.Lines) == 0 {
		return
	}
	head := "By hand, in the scratch folder of the lab host:"
	if e.Ran {
		head = "Performed by hand:"
	}
	t.line("  %s", t.say(head))
	for _, l := range e.Lines {
		t.line("    $ %s", strings.ReplaceAll(l.Line, "\n", "\n      "))
		if out := strings.TrimRight(l.Output, "\n"); out != "" {
			t.line("%s", t.Style.paint(dim, indent("      ", strings.Split(out, "\n"))))
		}
	}
}

func (t *Text) evidence(e walk.EvidenceEvent) {
	t.line("  %s", t.Style.paint(bold, t.Words.Term(t.key(e.Lab), e.Title)))
	heads := []string{t.say("fact")}
	for _, c := range e.Columns {
		heads = append(heads, t.Words.Term(t.key(e.Lab), c))
	}
	heads = append(heads, t.say("read from"))
	var rows [][]string
	for _, r := range e.Rows {
		row := append([]string{t.Words.Term(t.key(e.Lab), r.Fact)}, r.Values...)
		for i := 1; i < len(row); i++ {
			row[i] = t.value(e.Lab, row[i])
		}
		rows = append(rows, append(row, r.From))
	}
	for i := range rows {
		for len(rows[i]) < len(heads) {
			rows[i] = append(rows[i], "")
		}
	}
	var table strings.Builder
	inner := t.Style
	if inner.Width > 0 {
		inner.Width -= len("  ")
	}
	inner.Table(&table, heads, rows)
	t.line("%s", indent("  ", strings.Split(strings.TrimRight(table.String(), "\n"), "\n")))
}

// value is a value in the words of its lab; an empty one is made visible.
func (t *Text) value(lab, v string) string {
	if v == "" {
		return t.say("(empty)")
	}
	return t.Words.Term(t.key(lab), v)
}

func (t *Text) plot(e walk.PlotEvent) {
	p := e.Plot
	p.Title, p.Y = t.Words.Term(t.key(e.Lab), p.Title), t.Words.Term(t.key(e.Lab), p.Y)
	for i := range p.Lines {
		p.Lines[i].Name = t.Words.Term(t.key(e.Lab), p.Lines[i].Name)
	}
	for i := range p.Marks {
		p.Marks[i].Name = t.Words.Term(t.key(e.Lab), p.Marks[i].Name)
	}
	t.line("%s", indent("  ", t.Style.plot(p)))
}

// drawing keeps the lines whole: a picture that is wrapped is none.
func (t *Text) drawing(e walk.DrawingEvent) {
	d := e.Drawing
	t.line("  %s", t.Style.paint(bold, t.Words.Term(t.key(e.Lab), d.Title)))
	lines := d.Plain
	if t.Style.Boxes {
		lines = d.Lines
	}
	t.line("%s", indent("    ", lines))
	t.line("    %s", t.Style.paint(dim, t.say("drawn from: {}", d.From)))
}

var outcomeColors = sync.OnceValue(func() map[evidence.Outcome]string {
	return map[evidence.Outcome]string{evidence.Holds: green, evidence.Fails: red, evidence.Untested: yellow}
})

func (t *Text) expect(e walk.ExpectEvent) {
	word := t.say(string(e.Outcome))
	t.line("  %s", indentAfter(t.Style.paint(outcomeColors()[e.Outcome], pad(word, 8))+" ",
		wrap(t.Words.Term(t.key(e.Lab), e.Claim), t.Style.width()-12), "           "))
	if e.Outcome == evidence.Holds {
		return
	}
	t.paragraph("           ", t.say("wanted: {}", e.Want))
	t.paragraph("           ", t.say("found:  {}", e.Got))
	if e.Reason != "" {
		t.paragraph("           ", t.Words.Term(t.key(e.Lab), e.Reason))
	}
}

func (t *Text) summary(e walk.SummaryEvent) {
	t.line("\n%s", t.Style.paint(bold, t.say("Summary")))
	t.line("  %s", t.say("labs: {} passed, {} failed, {} untested", e.Labs.Pass, e.Labs.Fail, e.Labs.Untested))
	t.line("  %s", t.say("steps: {} passed, {} failed, {} untested", e.Steps.Pass, e.Steps.Fail, e.Steps.Untested))
	t.line("  %s", t.say("experiments reproduced: {} of {}", e.Experiments.Reproduced, e.Experiments.Of))
	if len(e.Residue) == 0 {
		t.line("  %s", t.say("residue: none"))
	}
	for _, r := range e.Residue {
		t.line("  %s", t.Style.paint(red, t.say("residue: {}", r)))
	}
	t.line("  %s", t.say("{} seconds", fmt.Sprintf("%.1f", e.Seconds)))
}
