package present

import (
	"fmt"

	"cutaway/labs/lesson"
	"cutaway/labs/walk"
)

// guess is what the learner predicted for a step.
type guess struct {
	step   string
	answer *lesson.Answer
}

// predict asks for a guess before the act is performed. A question without
// choices is only shown, to be thought about.
func (t *Terminal) predict(e walk.AskEvent) {
	section := t.section(e.Lab, e.Step)
	t.part(e.Lab, e.Step, 1)
	t.guess = guess{step: e.Step}
	if len(section.Answers) == 0 {
		return
	}
	var choices []choice
	for i, a := range section.Answers {
		t.line("    [%d] %s", i+1, prose(a.Text))
		choices = append(choices, choice{key: byte('1' + i), words: a.Text})
	}
	fmt.Fprintf(t.Out, "  %s ", t.say("your guess >"))
	picked := t.pick(append(choices, choice{key: 'x', words: "no guess"}))
	t.line("%s", prose(t.Words.Say(picked.words)))
	for i, a := range section.Answers {
		if picked.key == byte('1'+i) {
			t.guess.answer = &a
		}
	}
}

// reveal compares the guess with what happened, once the step has passed.
func (t *Terminal) reveal(e walk.StepEvent) {
	if e.State != walk.Pass || t.guess.step != e.Step || t.guess.answer == nil {
		return
	}
	verdict := "your guess was right"
	if !t.guess.answer.Right {
		verdict = "your guess was not what happened"
	}
	t.line("  %s", t.Style.paint(cyan, t.say(verdict)))
	if !t.Prose {
		t.part(e.Lab, e.Step, 2)
	}
	t.guess = guess{}
}
