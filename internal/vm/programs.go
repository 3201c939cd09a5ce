package vm

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// userland finds programs and the shared libraries that they need, as ld.so(8)
// would, without running anything.
type userland struct {
	path []string // where programs are looked for
	libs []string // where libraries are looked for
}

// hostUserland searches the usual folders of Debian, Fedora, Arch and SUSE. It does
// not read ld.so.cache: its format is glibc's own business.
func hostUserland() userland {
	return userland{
		path: []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"},
		libs: []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"},
	}
}

// Find returns the path of a program, or "".
func (u userland) Find(name string) string {
	for _, dir := range u.path {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// Libraries lists the files that a program needs to start: its interpreter (PT_INTERP)
// and, recursively, its libraries (DT_NEEDED). A script or static program needs none.
func (u userland) Libraries(file string) ([]string, error) {
	var found []string
	seen := map[string]bool{}
	var visit func(file string) error
	visit = func(file string) error {
		needs, err := u.needs(file)
		if err != nil {
			return err
		}
		for _, lib := range needs {
			if !seen[lib] {
				seen[lib] = true
				found = append(found, lib)
				if err := visit(lib); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return found, visit(file)
}

// needs reads what one ELF file asks for by itself.
func (u userland) needs(file string) ([]string, error) {
	f, err := elf.Open(file)
	var notELF *elf.FormatError
	if errors.As(err, &notELF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read program %s: %w", file, err)
	}
	defer f.Close()
	var needs []string
	if loader := interpreter(f); loader != "" {
		needs = append(needs, loader)
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("read DT_NEEDED of %s: %w", file, err)
	}
	dirs := append(runPath(f, filepath.Dir(file)), u.libs...)
	for _, name := range names {
		lib, err := findLibrary(name, dirs, f.Machine)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", file, err)
		}
		needs = append(needs, lib)
	}
	return needs, nil
}

func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, min(p.Filesz, 4096))
			n, _ := p.ReadAt(name, 0)
			return strings.TrimRight(string(name[:n]), "\x00")
		}
	}
	return ""
}

// runPath reads DT_RUNPATH and DT_RPATH: extra folders, in which $ORIGIN stands for
// the folder of the file itself.
func runPath(f *elf.File, origin string) (dirs []string) {
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, _ := f.DynString(tag)
		for _, value := range values {
			for _, dir := range filepath.SplitList(value) {
				dir = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(dir)
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// findLibrary takes the first file of that name for the right machine: a folder may
// hold the 32-bit library of the same name.
func findLibrary(name string, dirs []string, machine elf.Machine) (string, error) {
	for _, dir := range dirs {
		file := filepath.Join(dir, name)
		f, err := elf.Open(file)
		if err != nil {
			continue
		}
		same := f.Machine == machine
		f.Close()
		if same {
			return file, nil
		}
	}
	return "", fmt.Errorf("library %s is in none of %s", name, strings.Join(dirs, ", "))
}
