package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// module is what a kernel module says about itself in its ELF section .modinfo, a
// list of NUL-terminated key=value strings (include/linux/module.h, MODULE_INFO).
// depmod(8) collects the same into modules.dep; a .deb file comes without that.
type module struct {
	Name    string   // with "_" for "-", as in /proc/modules
	File    string   // path on the host
	Depends []string // modules that must be loaded before it
	Soft    []string // "softdep=pre: ...": better loaded before it, if there
	Aliases []string // "fs-overlay", "rtnl-link-veth", "char-major-10-236", ...
	data    []byte   // the plain .ko file
}

// moduleName turns a file name into a module name: dm-thin-pool.ko.xz is dm_thin_pool.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// readModule reads one .ko file, packed (.xz .gz .zst) or plain.
func readModule(file string) (module, error) {
	f, err := os.Open(file)
	if err != nil {
		return module{}, err
	}
	defer f.Close()
	plain, err := unpacker(filepath.Ext(file), f)
	if err != nil {
		return module{}, fmt.Errorf("module %s: %w", file, err)
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		return module{}, fmt.Errorf("module %s: read: %w", file, err)
	}
	m, err := parseModule(data)
	if err != nil {
		return module{}, fmt.Errorf("module %s: %w", file, err)
	}
	m.Name, m.File = moduleName(file), file
	return m, nil
}

// parseModule reads the .modinfo section of a plain .ko file.
func parseModule(data []byte) (module, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return module{}, fmt.Errorf("not an ELF file: %w", err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return module{}, fmt.Errorf("has no .modinfo section, so it is no kernel module")
	}
	info, err := section.Data()
	if err != nil {
		return module{}, fmt.Errorf("read section .modinfo: %w", err)
	}
	m := parseModinfo(info)
	m.data = data
	return m, nil
}

func parseModinfo(info []byte) module {
	var m module
	for _, entry := range strings.Split(string(info), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			for _, name := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' }) {
				m.Depends = append(m.Depends, moduleName(name))
			}
		case "softdep":
			m.Soft = append(m.Soft, softBefore(value)...)
		case "alias":
			m.Aliases = append(m.Aliases, value)
		}
	}
	return m
}

// softBefore picks the names behind "pre:" in "pre: a b post: c".
func softBefore(value string) (names []string) {
	before := false
	for _, word := range strings.Fields(value) {
		if strings.HasSuffix(word, ":") {
			before = word == "pre:"
		} else if before {
			names = append(names, moduleName(word))
		}
	}
	return names
}
