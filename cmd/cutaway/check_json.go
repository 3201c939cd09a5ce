package main

import (
	"encoding/json"
	"io"

	"cutaway/internal/probe"
)

// checkRow is a result with what only the command knows.
type checkRow struct {
	probe.Result
	Severity     string   `json:"severity"` // required, or optional
	NeededBy     []string `json:"needed_by"`
	Disagreement string   `json:"disagreement,omitempty"`
}

// checkDocument is what --json prints.
type checkDocument struct {
	Header       probe.Header          `json:"header"`
	Results      []checkRow            `json:"results"`
	Requirements []probe.Verdict       `json:"requirements"`
	Config       []probe.ConfigVerdict `json:"config"` // others' lists, judged by the config file; empty without one
	Exit         int                   `json:"exit"`
}

// printCheckJSON prints the report as one JSON object.
func printCheckJSON(out io.Writer, r *report) error {
	doc := checkDocument{Header: r.header, Requirements: r.verdicts, Exit: r.exit, Results: []checkRow{}, Config: []probe.ConfigVerdict{}}
	for _, result := range r.results {
		row := checkRow{Result: result, Severity: "optional", NeededBy: r.needed[result.ID], Disagreement: probe.Disagreement(result)}
		if r.required[result.ID] {
			row.Severity = "required"
		}
		if row.NeededBy == nil {
			row.NeededBy = []string{}
		}
		doc.Results = append(doc.Results, row)
	}
	if r.config != nil {
		doc.Config = probe.JudgeConfig(r.config, probe.ConfigNeeds())
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}
