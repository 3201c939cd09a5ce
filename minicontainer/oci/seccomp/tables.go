package seccomp

import (
	"embed"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// tables holds a list of "number name" lines per architecture. They are text
// that is read when a filter is made: as Go maps they would be built at every
// start of the program, container or not.
//
//go:embed tables/*.tbl
var tables embed.FS

// table is one architecture's part of the system call interface.
type table struct {
	file  string
	audit uint32 // AUDIT_ARCH_* as seccomp_data.arch has it (linux/audit.h)
	mask  uint32 // bit that the numbers carry: x32 is x86_64 with bit 30 set
}

const x32Bit = 0x40000000

var architectures = sync.OnceValue(func() map[specs.Arch]table {
	return map[specs.Arch]table{
		specs.ArchX86_64:  {"x86_64", 0xc000003e, 0},
		specs.ArchX32:     {"x32", 0xc000003e, x32Bit},
		specs.ArchX86:     {"x86", 0x40000003, 0},
		specs.ArchAARCH64: {"aarch64", 0xc00000b7, 0},
		specs.ArchARM:     {"arm", 0x40000028, 0},
	}
})

// family lists the architectures whose calls a kernel for the first one runs.
var family = sync.OnceValue(func() map[string][]specs.Arch {
	return map[string][]specs.Arch{
		"amd64": {specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		"arm64": {specs.ArchAARCH64, specs.ArchARM},
	}
})

// choose gives the architectures that get a section: the native one always, and
// those of its family that the spec lists. Others can never run here.
func choose(listed []specs.Arch) ([]specs.Arch, error) {
	for _, a := range listed {
		if !strings.HasPrefix(string(a), "SCMP_ARCH_") {
			return nil, fmt.Errorf("seccomp: string %s is not a valid arch for seccomp", a)
		}
	}
	here := family()[runtime.GOARCH]
	if len(here) == 0 {
		return nil, fmt.Errorf("seccomp: no system call table for %s", runtime.GOARCH)
	}
	out := here[:1]
	for _, a := range here[1:] {
		for _, l := range listed {
			if l == a {
				out = append(out[:len(out):len(out)], a)
				break
			}
		}
	}
	return out, nil
}

// entry is one line of a table.
type entry struct {
	number uint32 // the mask included
	name   string
}

// list reads the table.
func (t table) list() ([]entry, error) {
	text, err := tables.ReadFile("tables/" + t.file + ".tbl")
	if err != nil {
		return nil, err
	}
	return parseTable(string(text), t.mask)
}

// parseTable reads "number name" lines.
func parseTable(text string, mask uint32) ([]entry, error) {
	out := make([]entry, 0, 512)
	for line := range strings.Lines(text) {
		number, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		nr, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil {
			return nil, fmt.Errorf("seccomp: %q is not a line of number and name", line)
		}
		out = append(out, entry{uint32(nr) | mask, name})
	}
	return out, nil
}
