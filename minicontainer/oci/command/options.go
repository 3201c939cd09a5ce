package command

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cutaway/internal/size"
)

// options are those of the runtime or of one verb. Some have a letter as a second
// name; -x and --x are the same, as they are for runc.
type options struct {
	*flag.FlagSet
	letters map[string]string // of the options that have one
}

func newOptions() options {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are returned, and help has its own form
	return options{set, map[string]string{}}
}

// letter gives an option its second name.
func (o options) letter(letter, name string) {
	f := o.Lookup(name)
	o.Var(f.Value, letter, f.Usage)
	o.letters[name] = letter
}

// adopt takes the global options in, which may stand after the verb too. One that
// the verb has itself stays the verb's.
func (o options) adopt(global options) {
	global.VisitAll(func(f *flag.Flag) {
		if o.Lookup(f.Name) == nil {
			o.Var(f.Value, f.Name, f.Usage)
		}
	})
}

// parse reads the options and gives the arguments. They may be mixed, except where
// the arguments are another program's command line.
func (o options) parse(line []string, mixed bool) (args []string, err error) {
	for {
		if err := o.Parse(line); err != nil {
			return nil, err
		}
		rest := o.Args()
		read := line[:len(line)-len(rest)]
		ended := len(read) > 0 && read[len(read)-1] == "--"
		if len(rest) == 0 || ended || !mixed {
			return append(args, rest...), nil
		}
		args, line = append(args, rest[0]), rest[1:]
	}
}

// given tells which options stood on the command line.
func (o options) given() map[string]bool {
	names := map[string]bool{}
	o.Visit(func(f *flag.Flag) { names[f.Name] = true })
	return names
}

// each visits the options by their long names.
func (o options) each(visit func(f *flag.Flag, letter string)) {
	o.VisitAll(func(f *flag.Flag) {
		if len(f.Name) > 1 {
			visit(f, o.letters[f.Name])
		}
	})
}

// print prints one line for each option.
func (o options) print(w io.Writer) {
	var rows [][]string
	o.each(func(f *flag.Flag, letter string) {
		kind, usage := flag.UnquoteUsage(f)
		name := "    --" + f.Name
		if letter != "" {
			name = "-" + letter + ", --" + f.Name
		}
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		rows = append(rows, []string{"  " + strings.TrimRight(name+" "+kind, " "), usage})
	})
	printColumns(w, rows, 0)
}

// printColumns prints rows, each column but the last at least so wide and three
// more than its longest word.
func printColumns(w io.Writer, rows [][]string, least int) {
	var widths []int
	for _, row := range rows {
		widths = append(widths, make([]int, max(0, len(row)-len(widths)))...)
		for i, word := range row {
			widths[i] = max(widths[i], len(word)+3, least)
		}
	}
	for _, row := range rows {
		last := len(row) - 1
		for i, word := range row[:last] {
			fmt.Fprintf(w, "%-*s", widths[i], word)
		}
		fmt.Fprintln(w, row[last])
	}
}

// words is an option that may be given several times.
type words []string

func (l *words) String() string { return strings.Join(*l, " ") }

func (l *words) Set(word string) error {
	*l = append(*l, word)
	return nil
}

// bytes is an option that is a size; -1 is itself.
type bytes int64

func (b *bytes) String() string { return strconv.FormatInt(int64(*b), 10) }

func (b *bytes) Set(word string) error {
	if word == "-1" {
		*b = -1
		return nil
	}
	n, err := size.Parse(word)
	*b = bytes(n)
	return err
}
