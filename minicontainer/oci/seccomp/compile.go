package seccomp

import (
	"cmp"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Filter is a compiled program and how to load it.
type Filter struct {
	Program []unix.SockFilter
	Flags   uint // SECCOMP_FILTER_FLAG_*
	Notify  bool // the load returns a listener
}

// maxProgram is BPF_MAXINSNS: the kernel takes no longer program.
const maxProgram = 4096

// Compile makes the program for the architectures of this machine. Names that
// no table has are skipped: a profile may be newer or older than the kernel.
func Compile(s *specs.LinuxSeccomp) (*Filter, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	fallback, err := value(s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	archs, err := choose(s.Architectures)
	if err != nil {
		return nil, err
	}
	f := &Filter{Notify: notifies(s)}
	if f.Flags, err = flagBits(s.Flags); err != nil {
		return nil, err
	}
	calls, err := gather(s, fallback)
	if err != nil {
		return nil, err
	}
	allows := s.DefaultAction == specs.ActAllow || s.DefaultAction == specs.ActLog
	var sections []section
	for _, a := range archs {
		sec, err := compileSection(architectures()[a], calls, fallback, !allows)
		if err != nil {
			return nil, err
		}
		sections = append(sections, sec)
	}
	f.Program = join(sections)
	if len(f.Program) > maxProgram {
		return nil, fmt.Errorf("seccomp: the program has %d instructions, the kernel takes %d", len(f.Program), maxProgram)
	}
	return f, nil
}

// section is the code for one architecture.
type section struct {
	table table
	code  code
}

// join puts the sections behind the choice of the architecture. x32 shares its
// audit value with x86_64 and is told apart by the mask bit of the number.
func join(sections []section) []unix.SockFilter {
	var c code
	c.load(offsetArch)
	seen := map[uint32]bool{}
	for _, s := range sections {
		if seen[s.table.audit] {
			continue
		}
		seen[s.table.audit] = true
		var body code
		body.load(offsetNr)
		if s.table.audit == architectures()[specs.ArchX86_64].audit {
			body.splitX32(sections)
		}
		body = append(body, s.code...)
		c.ifEqual(s.table.audit, body)
	}
	c.ret(unix.SECCOMP_RET_KILL_THREAD)
	return c
}

// splitX32 handles numbers with the x32 bit before those of x86_64 proper.
func (c *code) splitX32(sections []section) {
	var x32 code
	for _, s := range sections {
		if s.table.mask == x32Bit {
			x32 = s.code
		}
	}
	if x32 == nil {
		x32.ret(unix.SECCOMP_RET_KILL_THREAD)
	}
	c.ifAtLeast(x32Bit, x32)
}

// compileSection writes the search for the number's rules.
func compileSection(t table, calls map[string]*callRules, fallback uint32, strict bool) (section, error) {
	list, err := t.list()
	if err != nil {
		return section{}, err
	}
	list = slices.DeleteFunc(list, func(e entry) bool { return calls[e.name] == nil })
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.number, b.number) })
	var spans spans
	otherwise := answer(fallback)
	for _, e := range list {
		spans.upTo(e.number, otherwise)
		spans.upTo(e.number+1, calls[e.name].code(otherwise))
	}
	if strict && newerAreUnknown(list) {
		otherwise = answer(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	}
	spans.last(otherwise)
	return section{table: t, code: search(spans.list)}, nil
}

// newerAreUnknown says whether calls newer than the profile, which are those
// above the last one that it names, get ENOSYS. A program that probes for a new
// call falls back to an old one after ENOSYS; after EPERM it would give up.
func newerAreUnknown(named []entry) bool {
	return len(named) > 0 && named[len(named)-1].number != 0
}
