package probe

import (
	"bufio"
	"io"
	"os"
	"path"
	"strings"
)

// A moduleIndex is what files say about modules, without loading any.
type moduleIndex struct {
	loadable bool            // this kernel can load modules at all
	known    bool            // the lists of builtin and installed modules were found
	loaded   map[string]bool // /proc/modules
	builtin  map[string]bool // modules.builtin
	onDisk   map[string]bool // modules.dep
}

// readModules reads /proc/modules below root and the module lists of release.
func readModules(root, release string) moduleIndex {
	m := moduleIndex{}
	if f, err := os.Open(root + "/proc/modules"); err == nil {
		m.loadable = true
		m.loaded = moduleNames(f)
		f.Close()
	}
	// 1 = loading was switched off until the next boot.
	if disabled, _ := os.ReadFile(root + "/proc/sys/kernel/modules_disabled"); strings.TrimSpace(string(disabled)) == "1" {
		m.loadable = false
	}
	for _, dir := range []string{"/lib/modules/", "/usr/lib/modules/"} {
		f, err := os.Open(root + dir + release + "/modules.dep")
		if err != nil {
			continue
		}
		m.known = true
		m.onDisk = moduleNames(f)
		f.Close()
		if f, err := os.Open(root + dir + release + "/modules.builtin"); err == nil {
			m.builtin = moduleNames(f)
			f.Close()
		}
		break
	}
	return m
}

// moduleNames reads the first word of each line as a module name:
//
//	overlay 155648 3 - Live 0x0              (/proc/modules)
//	kernel/fs/overlayfs/overlay.ko.xz: ...   (modules.dep)
//	kernel/net/bridge/bridge.ko              (modules.builtin)
func moduleNames(r io.Reader) map[string]bool {
	names := map[string]bool{}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20) // modules.dep has long lines
	for in.Scan() {
		word, _, _ := strings.Cut(in.Text(), " ")
		name, _, _ := strings.Cut(path.Base(strings.TrimSuffix(word, ":")), ".ko")
		if name != "" && name != "." {
			names[underscored(name)] = true
		}
	}
	return names
}

// underscored writes a module name as the kernel does: modprobe accepts
// dm-thin-pool and dm_thin_pool, /proc/modules shows only the second.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// sleeping returns those of the modules that are on disk and not loaded,
// and whether the files were enough to tell.
func (m moduleIndex) sleeping(modules []string) (names []string, sure bool) {
	if !m.loadable {
		return nil, true
	}
	sure = true
	for _, name := range modules {
		n := underscored(name)
		switch {
		case m.loaded[n] || m.builtin[n]:
		case m.onDisk[n]:
			names = append(names, name)
		case !m.known:
			sure = false
		}
	}
	return names, sure
}

// appeared returns what is loaded now and was not before.
func appeared(before, after map[string]bool) []string {
	var names []string
	for n := range after {
		if !before[n] {
			names = append(names, n)
		}
	}
	return names
}
