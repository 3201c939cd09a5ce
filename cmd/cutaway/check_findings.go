package main

import (
	"fmt"
	"strings"

	"cutaway/internal/probe"
)

// disagreements prints the two-sided view: what the config promises and what
// the kernel does.
func (p *checkPrinter) disagreements(r *report) {
	var cells [][]string
	for _, row := range r.results {
		if said := probe.Disagreement(row); said != "" {
			why := said
			if row.Reason != "" {
				why = row.Reason
			}
			cells = append(cells, []string{string(row.ID), factList(row.Config), p.state(row.State), p.tr(why)})
		}
	}
	if len(cells) == 0 {
		return
	}
	p.line("where config and kernel disagree")
	p.table([]string{"id", "config says", "kernel says", "why"}, cells)
}

// factList spells config facts as they stand in the file.
func factList(facts []probe.ConfigFact) string {
	var list []string
	for _, f := range facts {
		if f.Value == "" {
			list = append(list, f.Symbol+" ?")
		} else {
			list = append(list, f.Symbol+"="+f.Value)
		}
	}
	return strings.Join(list, " ")
}

// missing tells for every row that is not simply there what follows and what
// to do. Neighbours with one reason and one remedy are told together.
func (p *checkPrinter) missing(r *report) {
	var lacking []probe.Result
	for _, row := range r.results {
		if row.State != probe.Yes {
			lacking = append(lacking, row)
		}
	}
	if len(lacking) == 0 {
		return
	}
	p.line("what is missing, and what to do")
	for len(lacking) > 0 {
		n := 1
		for n < len(lacking) && alike(lacking[0], lacking[n]) {
			n++
		}
		p.remedy(r, lacking[:n])
		lacking = lacking[n:]
	}
	p.line("")
}

func alike(a, b probe.Result) bool {
	return a.State == b.State && a.Reason == b.Reason && a.Fix == b.Fix && a.Group == b.Group
}

// remedy prints rows that have everything but their effect in common.
func (p *checkPrinter) remedy(r *report, rows []probe.Result) {
	p.write("  " + p.state(rows[0].State))
	for _, row := range rows {
		p.write("    " + string(row.ID) + "  " + p.tr(row.Title))
		p.line("      without it: {}", p.tr(row.Effect))
		if labs := r.needed[row.ID]; len(labs) > 0 {
			p.line("      needed by labs {}", strings.Join(labs, " "))
		}
	}
	if rows[0].Reason != "" {
		p.line("    because: {}", p.tr(rows[0].Reason))
	}
	p.fix(rows[0].Fix)
}

// fix prints what to do. Its command is never wrapped: it is there to be
// copied. The comment behind it goes below.
func (p *checkPrinter) fix(fix string) {
	command, comment, commented := strings.Cut(p.tr(fix), "   # ")
	if p.plain || !commented {
		p.write("    " + p.fill("to do: {}", p.tr(fix)))
		return
	}
	p.write("    " + p.fill("to do: {}", command))
	p.write(p.style.Paragraph("      # ", comment))
}

// lists prints what others' option lists make of the config: in full when a
// config is all there is, else in one line per list.
func (p *checkPrinter) lists(r *report, full bool) {
	if r.config == nil {
		return
	}
	var cells [][]string
	verdicts := probe.JudgeConfig(r.config, probe.ConfigNeeds())
	for i := 0; i < len(verdicts); {
		section, met, total := verdicts[i].Section, 0, 0
		var lacking []string
		for ; i < len(verdicts) && verdicts[i].Section == section; i++ {
			total++
			if probe.Usable(verdicts[i].State) {
				met++
			} else {
				lacking = append(lacking, verdicts[i].Want)
			}
		}
		text := strings.Join(lacking, " ")
		if !full {
			text = shorten(text, 80)
		}
		cells = append(cells, []string{p.tr(section), fmt.Sprintf("%d/%d", met, total), text})
	}
	p.line("lists of kernel options, judged by {}", r.config.Source)
	p.table([]string{"list", "met", "not built, or not mentioned"}, cells)
}

// judgement prints the requirements and the outcome.
func (p *checkPrinter) judgement(r *report, other bool) {
	var cells [][]string
	for _, v := range r.verdicts {
		by := make([]string, 0, len(v.By))
		for _, id := range v.By {
			by = append(by, string(id))
		}
		cells = append(cells, []string{p.state(v.State), p.tr(v.Name), strings.Join(by, " ")})
	}
	p.line("required")
	p.table([]string{"state", "requirement", "by"}, cells)
	switch {
	case r.exit == probe.ExitMet:
		p.line("everything that is required can be used")
	case r.exit == probe.ExitMissing:
		p.line("something that is required is missing")
	case r.header.EUID != 0 && !other:
		p.line("something that is required could not be told: run it again as root")
	default:
		p.line("something that is required could not be told")
	}
}
