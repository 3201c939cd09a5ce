package main

import (
	"fmt"
	"io"
	"strings"

	"cutaway/internal/probe"
	"cutaway/labs/present"
)

// A checkPrinter prints a report for people. The state is always a word;
// colour only repeats it.
type checkPrinter struct {
	out   io.Writer
	plain bool
	style present.Style
	tr    func(string) string
	err   error // the first failed write
}

func newCheckPrinter(out io.Writer, plain bool, tr func(string) string) *checkPrinter {
	if tr == nil {
		tr = func(s string) string { return s }
	}
	p := &checkPrinter{out: out, plain: plain, style: styleOf(out, plain), tr: tr}
	if !plain && !p.style.Boxes {
		// Into a pipe go boxes too; a pager shows this much on most screens.
		p.style.Boxes, p.style.Width = true, 120
	}
	return p
}

// fill translates a pattern and replaces its {} in order.
func (p *checkPrinter) fill(pattern string, values ...string) string {
	text := p.tr(pattern)
	for _, v := range values {
		text = strings.Replace(text, "{}", v, 1)
	}
	return text
}

// line prints a translated pattern as a paragraph. The blanks that it begins
// with are its margin.
func (p *checkPrinter) line(pattern string, values ...string) {
	words := strings.TrimLeft(pattern, " ")
	p.write(p.style.Paragraph(pattern[:len(pattern)-len(words)], p.fill(words, values...)))
}

func (p *checkPrinter) write(text string) {
	if _, err := fmt.Fprintln(p.out, text); err != nil && p.err == nil {
		p.err = err
	}
}

// print prints the report: whose kernel, the rows, where config and kernel
// disagree, what is missing, and the judgement last, where the eye rests.
func (p *checkPrinter) print(r *report, other bool) error {
	p.header(r, other)
	p.rows(r)
	p.disagreements(r)
	p.missing(r)
	p.lists(r, other)
	p.judgement(r, other)
	return p.err
}

func (p *checkPrinter) header(r *report, other bool) {
	h := r.header
	if other {
		p.line("judged by {} alone, a kernel {}: nothing was asked of the running one", r.config.Source, r.config.Version)
		return
	}
	p.line("kernel: {} {}", h.Kernel, h.Machine)
	if h.ConfigSource == "" {
		p.line("config: none found: live probes only")
	} else {
		p.line("config: {}", h.ConfigSource)
	}
	p.line("caller: uid {}, capabilities {}, seccomp {}", fmt.Sprint(h.EUID), h.Caps, h.Seccomp)
	if h.Chroot {
		p.line("in a chroot: user namespaces are refused here whatever the kernel has")
	}
	if h.Container != "" {
		p.line("in a container ({}): the answers are about what it may do. Covered: {}", h.Container, strings.Join(h.Masked, " "))
	}
	if !h.Modules {
		p.line("modules: this kernel loads none; what is not built in is not there")
	}
	p.line("")
}

// rows prints one table per group.
func (p *checkPrinter) rows(r *report) {
	for i := 0; i < len(r.results); {
		group := r.results[i].Group
		var cells [][]string
		for ; i < len(r.results) && r.results[i].Group == group; i++ {
			row := r.results[i]
			cells = append(cells, []string{p.state(row.State), string(row.ID), p.tr(row.Title), p.note(row), strings.Join(r.needed[row.ID], " ")})
		}
		p.write(p.tr(group))
		p.table([]string{"state", "id", "what", "seen", "labs"}, cells)
	}
}

// note is the reason, or else the most telling piece of evidence in a few words.
func (p *checkPrinter) note(r probe.Result) string {
	if r.State != probe.Yes && r.Reason != "" {
		return p.tr(r.Reason)
	}
	if len(r.Evidence) == 0 {
		return ""
	}
	e := r.Evidence[len(r.Evidence)-1]
	note := strings.TrimSpace(e.Call + " " + e.Errno)
	if e.Detail != "" {
		note += ": " + p.tr(e.Detail)
	}
	if e.Via != "" {
		note = p.fill("via {}: {}", e.Via, note)
	}
	return shorten(note, 64)
}

// shorten cuts at a whole character.
func shorten(s string, most int) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// state is the word, coloured on a terminal. Words as short as "no" mean many
// things: the key of the translation says which.
func (p *checkPrinter) state(s probe.State) string {
	key := "state: " + string(s)
	word := strings.TrimPrefix(p.tr(key), "state: ")
	if !p.style.Color {
		return word
	}
	code := map[probe.State]string{probe.Yes: "32", probe.Module: "32", probe.No: "31", probe.Off: "33"}[s]
	if code == "" {
		code = "35"
	}
	return "\x1b[" + code + "m" + word + "\x1b[0m"
}

// table prints cells under a header, in boxes or, plain, a line for each row
// with tabs.
func (p *checkPrinter) table(header []string, cells [][]string) {
	if p.plain {
		for _, row := range cells {
			p.write(strings.TrimRight(strings.Join(row, "\t"), "\t"))
		}
		p.write("")
		return
	}
	heads := make([]string, len(header))
	for i, h := range header {
		heads[i] = p.tr(h)
	}
	var text strings.Builder
	p.style.Table(&text, heads, cells)
	p.write(text.String()) // ends with a line break: one line stays free
}
