package command

import (
	"flag"
	"fmt"
	"io"
	"math"
	"strings"
)

// verb is a command of the runtime with its options. It is made when it is wanted.
type verb struct {
	options
	name, args, short string
	least, most       int  // arguments
	passes            bool // what follows the first argument is somebody else's command line
	do                func(args []string) error
}

// many is as many as there are.
const many = math.MaxInt

func newVerb(name, args, short string, least, most int) *verb {
	return &verb{options: newOptions(), name: name, args: args, short: short, least: least, most: most}
}

// verbs are all there are, in the order of help.
var verbs = []struct {
	name string
	make func(*call) *verb
}{
	{"create", (*call).create},
	{"delete", (*call).delete},
	{"events", (*call).events},
	{"exec", (*call).exec},
	{"features", (*call).features},
	{"kill", (*call).kill},
	{"list", (*call).list},
	{"pause", (*call).pause},
	{"ps", (*call).ps},
	{"resume", (*call).resume},
	{"run", (*call).run},
	{"spec", (*call).spec},
	{"start", (*call).start},
	{"state", (*call).state},
	{"update", (*call).update},
}

// verb makes the one with that name, or gives nil.
func (c *call) verb(name string) *verb {
	for _, v := range verbs {
		if v.name == name {
			return v.make(c)
		}
	}
	return nil
}

func printHelp(w io.Writer, global options) {
	fmt.Fprint(w, "Container runtime with runc's command line\n\nUsage:\n  cutaway oci [options] VERB [options] [arguments]\n\nVerbs:\n")
	var rows [][]string
	for _, v := range verbs {
		rows = append(rows, []string{"  " + v.name, v.make(&call{}).short})
	}
	printColumns(w, rows, 0)
	fmt.Fprint(w, "\nOptions:\n")
	global.print(w)
	fmt.Fprint(w, "\n`cutaway oci VERB --help` tells more about a verb.\n")
}

func (v *verb) printHelp(w io.Writer) {
	fmt.Fprintf(w, "%s\n\nUsage:\n  cutaway oci %s\n\nOptions:\n", v.short, strings.TrimRight(v.name+" [options] "+v.args, " "))
	v.print(w)
}

// Suggest gives what may follow the words so far, with a tab and an explanation
// each, for the shell's completion: verbs, or a verb's options.
func Suggest(line []string, word string) (all []string) {
	c := &call{}
	global := c.options()
	rest, _ := global.parse(line, false)
	switch {
	case len(rest) > 0:
		if v := c.verb(rest[0]); v != nil {
			v.adopt(global)
			return v.suggest(word)
		}
	case strings.HasPrefix(word, "-"):
		return verb{options: global}.suggest(word)
	default:
		for _, v := range verbs {
			all = append(all, v.name+"\t"+v.make(c).short)
		}
	}
	return all
}

func (v verb) suggest(word string) (all []string) {
	if !strings.HasPrefix(word, "-") {
		return nil
	}
	v.each(func(f *flag.Flag, _ string) { all = append(all, "--"+f.Name+"\t"+f.Usage) })
	return all
}
