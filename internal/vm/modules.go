package vm

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// moduleTree is the folder /lib/modules/<release> of one kernel.
type moduleTree struct {
	files   map[string]string // module name -> .ko file
	builtin map[string]bool   // compiled into the kernel: nothing to load
}

// openModules lists a folder of modules. Only names are read; the files are opened
// when they are chosen.
func openModules(dir string) (*moduleTree, error) {
	t := &moduleTree{files: map[string]string{}, builtin: map[string]bool{}}
	if dir == "" {
		return t, nil // a kernel with everything built in
	}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		// "build" and "source" are links into trees of millions of files; WalkDir
		// does not follow links.
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".ko") {
			t.files[moduleName(file)] = file
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list kernel modules in %s: %w", dir, err)
	}
	f, err := os.Open(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return t, nil // only written by "make modules_install"; absence says nothing
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		t.builtin[moduleName(s.Text())] = true
	}
	return t, nil
}

// Has tells whether this kernel has all the named modules, as files or built in.
func (t *moduleTree) Has(names ...string) bool {
	for _, name := range names {
		if t.files[name] == "" && !t.builtin[name] {
			return false
		}
	}
	return true
}

// Closure reads the named modules and all that they need, each after what it
// depends on. Names that this kernel has neither as a file nor built in are
// returned as missing.
func (t *moduleTree) Closure(names []string) (ordered []module, missing []string, err error) {
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if seen[name] || t.builtin[name] {
			return nil
		}
		seen[name] = true // before its dependencies: a soft circle must not hang us
		file, ok := t.files[name]
		if !ok {
			missing = append(missing, name)
			return nil
		}
		m, err := readModule(file)
		if err != nil {
			return err
		}
		for _, needed := range append(t.present(m.Soft), m.Depends...) {
			if err := visit(needed); err != nil {
				return err
			}
		}
		ordered = append(ordered, m)
		return nil
	}
	for _, name := range names {
		if err := visit(moduleName(name)); err != nil {
			return nil, nil, err
		}
	}
	return ordered, missing, nil
}

// present keeps the names that exist: a soft dependency that does not is no loss.
func (t *moduleTree) present(names []string) (have []string) {
	for _, name := range names {
		if t.files[name] != "" {
			have = append(have, name)
		}
	}
	return have
}

// moduleFiles renders the tables that modprobe(8) reads (modules.dep(5)), from the
// modules that go into the initramfs. Folder is relative to /lib/modules/<release>.
func moduleFiles(mods []module, folder string) map[string]string {
	file := func(name string) string { return folder + "/" + name + ".ko" }
	var dep, alias, soft, devname strings.Builder
	for _, m := range mods {
		var needs []string
		for _, name := range m.Depends {
			needs = append(needs, " "+file(name))
		}
		fmt.Fprintf(&dep, "%s:%s\n", file(m.Name), strings.Join(needs, ""))
		for _, a := range m.Aliases {
			fmt.Fprintf(&alias, "alias %s %s\n", a, m.Name)
		}
		if len(m.Soft) > 0 {
			fmt.Fprintf(&soft, "softdep %s pre: %s\n", m.Name, strings.Join(m.Soft, " "))
		}
		devname.WriteString(deviceNode(m))
	}
	return map[string]string{
		"modules.dep": dep.String(), "modules.alias": alias.String(),
		"modules.softdep": soft.String(), "modules.devname": devname.String(),
	}
}

// deviceNode renders the modules.devname line of a module that is loaded when its
// device node is opened, so that the node has to be there first: "fuse fuse c10:229".
func deviceNode(m module) string {
	var node, number string
	for _, a := range m.Aliases {
		var major, minor int
		if name, ok := strings.CutPrefix(a, "devname:"); ok {
			node = name
		} else if n, _ := fmt.Sscanf(a, "char-major-%d-%d", &major, &minor); n == 2 {
			number = fmt.Sprintf("c%d:%d", major, minor)
		}
	}
	if node == "" || number == "" {
		return ""
	}
	return fmt.Sprintf("%s %s %s\n", m.Name, node, number)
}
