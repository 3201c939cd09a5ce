package vm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// The kernel loads modules by itself: mount -t overlay makes it run "/sbin/modprobe
// -q -- fs-overlay" (kernel/kmod.c, request_module). In the guest that is us. So no
// module is loaded before a lab needs it, which is both quick and worth seeing.

// moduleTables is what modprobe reads of /lib/modules/<release>.
type moduleTables struct {
	dir     string
	depends map[string][]string // module -> files to load first
	file    map[string]string
	soft    map[string][]string
	aliases [][2]string // pattern, module
}

// modprobe loads the modules named in args and returns an exit code.
func modprobe(args []string, complain io.Writer) int {
	names, quiet, remove := parseModprobe(args)
	if remove {
		return removeModules(names, complain)
	}
	tables, err := readTables("/lib/modules/" + release())
	if err == nil {
		for _, name := range names {
			err = errors.Join(err, tables.Load(name))
		}
	}
	if err != nil {
		if !quiet {
			fmt.Fprintln(complain, "modprobe:", err)
		}
		return 1
	}
	return 0
}

func parseModprobe(args []string) (names []string, quiet, remove bool) {
	for _, a := range args {
		switch {
		case a == "-q":
			quiet = true
		case a == "-r":
			remove = true
		case !strings.HasPrefix(a, "-") && !strings.Contains(a, "="):
			names = append(names, a)
		}
	}
	return names, quiet, remove
}

func removeModules(names []string, complain io.Writer) int {
	for _, name := range names {
		if err := unix.DeleteModule(moduleName(name), unix.O_NONBLOCK); err != nil {
			fmt.Fprintf(complain, "modprobe: delete_module(%s, O_NONBLOCK): %v\n", name, err)
			return 1
		}
	}
	return 0
}

// readTables reads modules.dep, modules.softdep and modules.alias (modules.dep(5)).
func readTables(dir string) (*moduleTables, error) {
	t := &moduleTables{dir: dir, depends: map[string][]string{}, file: map[string]string{}, soft: map[string][]string{}}
	for name, take := range map[string]func(string){
		"modules.dep": t.takeDep, "modules.softdep": t.takeSoft, "modules.alias": t.takeAlias,
	} {
		f, err := os.Open(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			take(lines.Text())
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return t, nil
}

func (t *moduleTables) takeDep(line string) {
	file, needs, ok := strings.Cut(line, ":")
	if !ok {
		return
	}
	name := moduleName(file)
	t.file[name] = file
	for _, f := range strings.Fields(needs) {
		t.depends[name] = append(t.depends[name], moduleName(f))
	}
}

func (t *moduleTables) takeSoft(line string) {
	if rest, ok := strings.CutPrefix(line, "softdep "); ok {
		name, value, _ := strings.Cut(rest, " ")
		t.soft[name] = softBefore(value)
	}
}

func (t *moduleTables) takeAlias(line string) {
	if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
		t.aliases = append(t.aliases, [2]string{words[1], words[2]})
	}
}

// Resolve returns the modules that a name stands for: its own file, or every module
// with a matching alias. Both are compared with "_" for "-".
func (t *moduleTables) Resolve(name string) (modules []string) {
	name = moduleName(name)
	if t.file[name] != "" {
		return []string{name}
	}
	for _, a := range t.aliases {
		if ok, _ := path.Match(strings.ReplaceAll(a[0], "-", "_"), name); ok {
			modules = append(modules, a[1])
		}
	}
	return modules
}

// Load loads what a name stands for, each module after those that it needs.
func (t *moduleTables) Load(name string) error {
	modules := t.Resolve(name)
	if len(modules) == 0 {
		return fmt.Errorf("module %s is not in %s", name, t.dir)
	}
	for _, m := range modules {
		if err := t.load(m, map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

func (t *moduleTables) load(name string, seen map[string]bool) error {
	if seen[name] || t.file[name] == "" {
		return nil // on our way already, or built in
	}
	seen[name] = true
	for _, needed := range append(append([]string{}, t.soft[name]...), t.depends[name]...) {
		if err := t.load(needed, seen); err != nil {
			return err
		}
	}
	file := path.Join(t.dir, t.file[name])
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("finit_module(%s): %w", file, err)
	}
	return nil
}

// loadAtBoot loads what etc/modules lists, and the comma-separated names in extra.
func loadAtBoot(extra string) error {
	list, err := os.ReadFile("/etc/modules")
	if err != nil {
		return err
	}
	tables, err := readTables("/lib/modules/" + release())
	if err != nil {
		return fmt.Errorf("the initramfs was made for another kernel than %s: %w", release(), err)
	}
	for _, name := range append(strings.Fields(string(list)), strings.FieldsFunc(extra, func(r rune) bool { return r == ',' })...) {
		if len(tables.Resolve(name)) == 0 {
			continue // built in
		}
		if err := tables.Load(name); err != nil {
			return err
		}
	}
	return nil
}
