package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// koFile renders the smallest ELF file with a .modinfo section.
func koFile(info ...string) []byte {
	text := []byte(strings.Join(info, "\x00") + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	const header, section = 64, 64
	var out bytes.Buffer
	put := func(v any) { binary.Write(&out, binary.LittleEndian, v) }
	put(elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(header + len(text) + len(names)), Ehsize: header, Shentsize: section, Shnum: 3, Shstrndx: 2,
	})
	out.Write(text)
	out.Write(names)
	put(elf.Section64{})
	put(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: header, Size: uint64(len(text))})
	put(elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(header + len(text)), Size: uint64(len(names))})
	return out.Bytes()
}

func TestParseModule(t *testing.T) {
	got, err := parseModule(koFile("alias=fs-x", "depends=a-b,c", "softdep=pre: crc32c post: z", "license=GPL"))
	if err != nil {
		t.Fatal(err)
	}
	got.data = nil
	want := module{Depends: []string{"a_b", "c"}, Soft: []string{"crc32c"}, Aliases: []string{"fs-x"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(module{})); diff != "" {
		t.Error(diff)
	}
	if _, err := parseModule([]byte("text")); err == nil {
		t.Error("parseModule of text: no error")
	}
}

// moduleDir makes a folder of modules: name -> .modinfo entries.
func moduleDir(t *testing.T, mods map[string][]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, info := range mods {
		file := filepath.Join(dir, "kernel", name+".ko")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, koFile(info...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestClosureOrder(t *testing.T) {
	dir := moduleDir(t, map[string][]string{
		"fs/top": {"depends=mid-dle,built"}, "mid-dle": {"depends=base"}, "base": {"softdep=pre: soft none"},
		"soft": {"softdep=pre: top"}, "unused": {},
	})
	if err := os.WriteFile(filepath.Join(dir, "modules.builtin"), []byte("kernel/built.ko\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := openModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	mods, missing, err := tree.Closure([]string{"top", "built", "nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range mods {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"soft", "base", "mid_dle", "top"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"nowhere"}, missing); diff != "" {
		t.Error(diff)
	}
}

func TestModprobeTables(t *testing.T) {
	mods := []module{
		{Name: "base"},
		{Name: "fuse", Depends: []string{"base"}, Soft: []string{"crc"}, Aliases: []string{"fs-fuse", "devname:fuse", "char-major-10-229"}},
		{Name: "nft_x", Aliases: []string{"nft-expr-*"}},
	}
	dir := t.TempDir()
	for name, text := range moduleFiles(mods, "kernel") {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tables, err := readTables(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"fs-fuse": {"fuse"}, "fuse": {"fuse"}, "char-major-10-229": {"fuse"},
		"nft-expr-2-log": {"nft_x"}, "nothing": nil} {
		if diff := cmp.Diff(want, tables.Resolve(name)); diff != "" {
			t.Errorf("Resolve(%q): %s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"base"}, tables.depends["fuse"]); diff != "" {
		t.Error(diff)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "modules.devname")); string(got) != "fuse fuse c10:229\n" {
		t.Errorf("modules.devname = %q", got)
	}
}

func TestParseModprobe(t *testing.T) {
	names, quiet, remove := parseModprobe([]string{"-q", "--", "fs-overlay", "x=1"})
	if !quiet || remove || len(names) != 1 || names[0] != "fs-overlay" {
		t.Errorf("parseModprobe = %q, %v, %v", names, quiet, remove)
	}
}

func TestLibraries(t *testing.T) {
	u := hostUserland()
	sh := u.Find("sh")
	libs, err := u.Libraries(sh)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(libs, " ")
	if f, err := elf.Open(sh); err == nil && interpreter(f) != "" && (!strings.Contains(all, "libc.so") || !strings.Contains(all, "ld-linux")) {
		t.Errorf("Libraries(%s) = %q; want libc and its loader among them", sh, libs)
	}
	if u.Find("no-such-program") != "" {
		t.Error("Find found what is not there")
	}
}

func FuzzModule(f *testing.F) {
	f.Add(koFile("depends=a,b", "softdep=pre: c"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = parseModule(data) })
}

func FuzzModinfo(f *testing.F) {
	f.Add([]byte("depends=a\x00softdep=pre: b post: c\x00alias=fs-x\x00"))
	f.Fuzz(func(t *testing.T, data []byte) { deviceNode(parseModinfo(data)) })
}
