package aufs

import (
	"fmt"
	"strconv"
	"strings"
)

// String prints the options so that ParseOptions reads them back.
func (o Options) String() string {
	var words []string
	for i, a := range o.Actions {
		words = append(words, a.text(i == 0))
	}
	if o.XinoPath != "" {
		words = append(words, "xino="+o.XinoPath)
	}
	words = append(words, o.nonDefault()...)
	if o.Acl {
		words = append(words, "acl")
	}
	return strings.Join(words, ",")
}

func (a Action) text(first bool) string {
	perm := ""
	if a.Perm != nil {
		perm = "=" + a.Perm.String()
	}
	switch {
	case a.Verb == "add":
		return fmt.Sprintf("add:%d:%s%s", a.Index, a.Path, perm)
	case a.Verb == "append" && first:
		return "br:" + a.Path + perm
	}
	return a.Verb + ":" + a.Path + perm
}

// nonDefault lists the words that /proc/mounts shows, in the kernel's fixed
// order whatever order they were given in.
func (o Options) nonDefault() []string {
	var words []string
	add := func(show bool, word string) {
		if show {
			words = append(words, word)
		}
	}
	add(o.NoXino, "noxino")
	add(o.ShowWh, "shwh")
	add(o.Udba != "reval", "udba="+o.Udba)
	add(o.NoPlink, "noplink")
	add(o.Dio, "dio")
	add(o.DirPerm1, "dirperm1")
	add(o.Create != "tdp", "create="+o.Create)
	add(o.Cpup != "tdp", "cpup="+o.Cpup)
	add(o.DirOpq != "w", "diropq="+o.DirOpq)
	add(o.DirWh != 3, "dirwh="+strconv.Itoa(o.DirWh))
	add(o.RdBlk != "", "rdblk="+o.RdBlk)
	add(o.RdHash != "", "rdhash="+o.RdHash)
	add(o.Sum, "sum")
	add(o.NoWarnPerm, "nowarn_perm")
	add(o.Verbose, "verbose")
	return words
}

// escapePath prints a path as sysfs does: blanks as octal.
func escapePath(path string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(path)
}
