package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"cutaway/internal/probe"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// A checkPrinter prints a report for people. The state is always a word;
// colour only repeats it.
type checkPrinter struct {
	out    io.Writer
	plain  bool
	colour bool
	tr     func(string) string
	err    error // the first failed write
}

func newCheckPrinter(out io.Writer, plain bool, tr func(string) string) *checkPrinter {
	if tr == nil {
		tr = func(s string) string { return s }
	}
	return &checkPrinter{out: out, plain: plain, colour: !plain && os.Getenv("NO_COLOR") == "" && isTerminal(out), tr: tr}
}

// line prints one line of a translated pattern, its {} replaced in order.
func (p *checkPrinter) line(pattern string, values ...string) {
	text := p.tr(pattern)
	for _, v := range values {
		text = strings.Replace(text, "{}", v, 1)
	}
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
		p.line(group)
		p.table([]string{"state", "id", "what", "seen", "labs"}, cells)
	}
}

// note is the most telling piece of evidence in a few words.
func (p *checkPrinter) note(r probe.Result) string {
	if r.State != probe.Yes && r.Reason != "" {
		return shorten(p.tr(r.Reason), 64)
	}
	if len(r.Evidence) == 0 {
		return ""
	}
	e := r.Evidence[len(r.Evidence)-1]
	note := strings.TrimSpace(e.Call + " " + e.Errno)
	if e.Detail != "" {
		note += ": " + e.Detail
	}
	if e.Via != "" {
		note = "via " + e.Via + ": " + note
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

// state is the word, coloured on a terminal.
func (p *checkPrinter) state(s probe.State) string {
	if !p.colour {
		return string(s)
	}
	code := map[probe.State]string{probe.Yes: "32", probe.Module: "32", probe.No: "31", probe.Off: "33"}[s]
	if code == "" {
		code = "35"
	}
	return "\x1b[" + code + "m" + string(s) + "\x1b[0m"
}

// table prints cells under a header, with boxes or, plain, with tabs.
func (p *checkPrinter) table(header []string, cells [][]string) {
	for i, h := range header {
		header[i] = p.tr(h)
	}
	if p.plain {
		for _, row := range cells {
			p.line(strings.TrimRight(strings.Join(row, "\t"), "\t"))
		}
		p.line("")
		return
	}
	t := tablewriter.NewTable(p.out,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{Symbols: tw.NewSymbols(tw.StyleRounded)})),
		tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithEastAsian(tw.Off), tablewriter.WithRowAutoWrap(tw.WrapNone),
	)
	t.Header(header)
	err := t.Bulk(cells)
	if err == nil {
		err = t.Render()
	}
	if p.err == nil {
		p.err = err
	}
}
