package aufs

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Action is one branch change, done in the order given. At mount time all of
// them add branches.
type Action struct {
	Verb  string // "append", "prepend", "add", "del", "mod"
	Index int    // for "add"; branch 0 is the top
	Path  string // absolute, cleaned
	Perm  *Perm  // nil: the default (first branch of a mount rw, all others ro)
}

// Options is the parsed text after -o of an aufs mount. See aufs(5).
type Options struct {
	Actions []Action
	// XinoPath is where the kernel module keeps its inode number table
	// (created and unlinked at once); "" takes the default place.
	XinoPath string
	NoXino   bool

	Udba       string // "reval" (default), "none", "notify": how branch changes by others are noticed
	NoPlink    bool   // break hard links in a copy-up instead of keeping them together
	DirPerm1   bool   // check permission on the topmost folder of a merged one only
	Sum        bool   // statfs adds the branches up
	ShowWh     bool   // shwh: list whiteouts and marks
	NoWarnPerm bool
	Verbose    bool
	Dio        bool
	Acl        bool
	DirOpq     string // "w" (default: when a whiteout was there), "a" (always)
	DirWh      int    // rmdir of a folder with that many whiteouts is done later (3)
	Create     string // which rw branch takes a new object: "tdp" (default), "rr", "mfs", "pmfs"
	Cpup       string // which one takes a copy-up: "tdp" (default), "bup", "bu"
	RdBlk      string // accepted and shown, without meaning here
	RdHash     string

	Warnings []string // what the kernel would write to its log and go on
	slots    int      // how many words were given, see maxSlots
}

// maxSlots is how many words one mount(2) call of the module can take: it
// stores them in one page, 48 bytes each. From 85 on the module itself
// crashes; both ways of mounting refuse before that.
const maxSlots = 84

// MaxBranches is the most a union can have, reached by remounts.
const MaxBranches = 127

// ParseOptions reads "br:/rw=rw:/ro=ro+wh,noplink". Relative paths are taken
// from the current directory. Errors carry EINVAL or E2BIG.
func ParseOptions(text string) (Options, error) {
	o := Options{Udba: "reval", DirOpq: "w", DirWh: 3, Create: "tdp", Cpup: "tdp"}
	for _, word := range strings.Split(text, ",") {
		if word == "" {
			continue
		}
		if err := o.parseWord(word); err != nil {
			return o, fmt.Errorf("aufs option %q: %w", word, err)
		}
	}
	if o.slots > maxSlots {
		return o, fmt.Errorf("aufs options: %d words in one call, %d is the limit (append the rest of the branches by remount): %w",
			o.slots, maxSlots, unix.E2BIG)
	}
	return o, nil
}

// flagWords are options without a value.
var flagWords = sync.OnceValue(func() map[string]func(*Options) {
	return map[string]func(*Options){
		"noxino":      func(o *Options) { o.NoXino = true },
		"plink":       func(o *Options) { o.NoPlink = false },
		"noplink":     func(o *Options) { o.NoPlink = true },
		"dirperm1":    func(o *Options) { o.DirPerm1 = true },
		"nodirperm1":  func(o *Options) { o.DirPerm1 = false },
		"sum":         func(o *Options) { o.Sum = true },
		"nosum":       func(o *Options) { o.Sum = false },
		"shwh":        func(o *Options) { o.ShowWh = true },
		"noshwh":      func(o *Options) { o.ShowWh = false },
		"warn_perm":   func(o *Options) { o.NoWarnPerm = false },
		"nowarn_perm": func(o *Options) { o.NoWarnPerm = true },
		"verbose":     func(o *Options) { o.Verbose = true },
		"v":           func(o *Options) { o.Verbose = true },
		"noverbose":   func(o *Options) { o.Verbose = false },
		"quiet":       func(o *Options) { o.Verbose = false },
		"q":           func(o *Options) { o.Verbose = false },
		"dio":         func(o *Options) { o.Dio = true },
		"nodio":       func(o *Options) { o.Dio = false },
		"acl":         func(o *Options) { o.Acl = true },
		"noacl":       func(o *Options) { o.Acl = false },
		"dirren":      func(o *Options) { o.Warnings = append(o.Warnings, "dirren is not offered, renames give EXDEV") },
		"nodirren":    func(o *Options) {},
	}
})

func (o *Options) parseWord(word string) error {
	if set, ok := flagWords()[word]; ok {
		o.slots++
		set(o)
		return nil
	}
	key, value, colon := cutKey(word)
	switch key {
	case "br", "dirs":
		return o.parseBranches("append", 0, value)
	case "append", "ap":
		return o.parseBranches("append", 0, value)
	case "prepend", "pre":
		return o.parseBranches("prepend", 0, value)
	case "add", "ins":
		return o.parseAdd(value)
	case "del":
		return o.parseBranches("del", 0, value)
	case "mod":
		return o.parseBranches("mod", 0, value)
	}
	o.slots++
	if colon {
		return fmt.Errorf("unknown parameter: %w", unix.EINVAL)
	}
	return o.parseValue(key, value)
}

// cutKey splits at the first = or :, whichever is first: br:X and br=X are equal.
func cutKey(word string) (key, value string, colon bool) {
	i := strings.IndexAny(word, ":=")
	if i < 0 {
		return word, "", false
	}
	return word[:i], word[i+1:], word[i] == ':'
}

// oneOf are the options whose value is one of a few words.
var oneOf = sync.OnceValue(func() map[string]map[string]string {
	return map[string]map[string]string{
		"udba":   {"none": "none", "reval": "reval", "notify": "notify", "fsnotify": "notify"},
		"diropq": {"always": "a", "a": "a", "whiteouted": "w", "w": "w"},
		"create": {"tdp": "tdp", "top-down-parent": "tdp", "rr": "rr", "round-robin": "rr", "mfs": "mfs", "most-free-space": "mfs", "pmfs": "pmfs"},
		"cpup":   {"tdp": "tdp", "top-down-parent": "tdp", "bup": "bup", "bottom-up-parent": "bup", "bu": "bu", "bottom-up": "bu"},
	}
})

func (o *Options) parseValue(key, value string) error {
	if words, ok := oneOf()[key]; ok {
		w, ok := words[value]
		if !ok {
			return fmt.Errorf("wrong value: %w", unix.EINVAL)
		}
		*map[string]*string{"udba": &o.Udba, "diropq": &o.DirOpq, "create": &o.Create, "cpup": &o.Cpup}[key] = w
		return nil
	}
	switch key {
	case "xino":
		p, err := absPath(value)
		o.XinoPath = p
		return err
	case "dirwh", "rdblk", "rdhash":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("not a number: %w", unix.EINVAL)
		}
		*map[string]*string{"dirwh": new(string), "rdblk": &o.RdBlk, "rdhash": &o.RdHash}[key] = value
		if key == "dirwh" {
			o.DirWh = n
		}
		return nil
	}
	return fmt.Errorf("unknown parameter: %w", unix.EINVAL)
}

func (o *Options) parseAdd(value string) error {
	index, rest, ok := strings.Cut(value, ":")
	n, err := strconv.Atoi(index)
	if !ok || err != nil || n < 0 {
		return fmt.Errorf("want add:INDEX:PATH: %w", unix.EINVAL)
	}
	return o.parseBranches("add", n, rest)
}

// parseBranches reads "/a=rw:/b=ro". A path cannot hold : , or =.
func (o *Options) parseBranches(verb string, index int, list string) error {
	for i, part := range strings.Split(list, ":") {
		path, perm, given := strings.Cut(part, "=")
		abs, err := absPath(path)
		if err != nil {
			return err
		}
		a := Action{Verb: verb, Path: abs}
		if verb == "add" {
			a.Index = index + i
		}
		if given {
			p, warnings := parsePerm(perm)
			a.Perm = &p
			o.Warnings = append(o.Warnings, warnings...)
		}
		o.slots++
		o.Actions = append(o.Actions, a)
	}
	return nil
}

func absPath(path string) (string, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("a path is missing: %w", unix.EINVAL)
	}
	return filepath.Abs(path)
}
