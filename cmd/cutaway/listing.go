package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"
)

// A listing prints rows as Docker's list commands do. Rows are structs; their
// field names are what a template may ask for.
//
//	format ""             the usual table, standard
//	"table TEMPLATE"      that table: "\t" parts columns, headings included
//	"json"                an object per line
//	TEMPLATE              the template alone, a line per row
type listing struct {
	standard string            // template of the usual table, without "table "
	headings map[string]string // field -> heading, for tables
}

func printListing[T any](w io.Writer, l listing, format string, rows []T) error {
	if format == "json" {
		format = "{{json .}}"
	}
	text, table := l.standard, true
	if format != "" {
		text, table = strings.CutPrefix(format, "table")
		text = unescape(strings.TrimSpace(text))
		if text == "" && table {
			text = l.standard
		}
	}
	t, err := template.New("").Funcs(templateFuncs).Parse(text)
	if err != nil {
		return fmt.Errorf("template parsing error: %w", err)
	}
	if !table {
		return executeRows(w, t, rows)
	}
	tab := tabwriter.NewWriter(w, 10, 1, 3, ' ', 0) // Docker's widths
	if err := t.Execute(tab, l.headings); err != nil {
		return fmt.Errorf("template parsing error: %w", err)
	}
	fmt.Fprintln(tab)
	if err := executeRows(tab, t, rows); err != nil {
		return err
	}
	return tab.Flush()
}

func executeRows[T any](w io.Writer, t *template.Template, rows []T) error {
	for _, r := range rows {
		if err := t.Execute(w, r); err != nil {
			return fmt.Errorf("template parsing error: %w", err)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// unescape lets people write \t and \n in single quotes.
func unescape(text string) string {
	return strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text)
}

// templateFuncs are those that Docker's templates have.
var templateFuncs = template.FuncMap{
	"json":  func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
	"split": strings.Split,
	"join":  strings.Join,
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"pad": func(s string, before, after int) string {
		return strings.Repeat(" ", before) + s + strings.Repeat(" ", after)
	},
	"truncate": func(s string, n int) string { return s[:min(len(s), n)] },
}

// printInspect prints objects as `docker inspect` does: a JSON list, or one line
// per object by a template.
func printInspect(w io.Writer, format string, objects []any) error {
	if format == "json" {
		return json.NewEncoder(w).Encode(objects)
	}
	if format != "" {
		t, err := template.New("").Funcs(templateFuncs).Parse(unescape(format))
		if err != nil {
			return fmt.Errorf("template parsing error: %w", err)
		}
		for i, o := range objects {
			if err := executeInspect(w, t, o); err != nil {
				if i == 0 {
					fmt.Fprintln(w)
				}
				return err
			}
		}
		if len(objects) == 0 {
			fmt.Fprintln(w) // as Docker: a script that reads a line gets one
		}
		return nil
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // Cmd may well have < and & in it
	e.SetIndent("", "    ")
	return e.Encode(objects)
}

// executeInspect takes the names of fields as Go has them (.ID) and, as Docker
// does, where there is none such, those of the JSON (.Id).
func executeInspect(w io.Writer, t *template.Template, object any) error {
	var line bytes.Buffer
	if t.Execute(&line, object) != nil {
		raw, err := asJSON(object)
		if err != nil {
			return err
		}
		strict, err := t.Clone()
		if err != nil {
			return err
		}
		line.Reset()
		if err := strict.Option("missingkey=error").Execute(&line, raw); err != nil {
			return fmt.Errorf("template parsing error: %w", err)
		}
	}
	_, err := fmt.Fprintln(w, line.String())
	return err
}

// asJSON is an object as maps, lists and texts. Numbers stay as they are written.
func asJSON(object any) (raw any, err error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&raw)
	return raw, err
}
