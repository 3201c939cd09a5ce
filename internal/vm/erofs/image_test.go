package erofs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/needs"
)

// sample has what the format makes difficult: names around "." and "..", folders of
// many blocks, an empty file, a file of exactly one block, links that fill a block.
func sample(t testing.TB) (m *Image, want map[string]string) {
	t.Helper()
	m, want = New(), map[string]string{}
	file := func(name, text string) {
		t.Helper()
		if err := m.File(name, 0o755, []byte(text)); err != nil {
			t.Fatal(err)
		}
		want[name] = text
	}
	link := func(name, target string) {
		t.Helper()
		if err := m.Symlink(name, target); err != nil {
			t.Fatal(err)
		}
		want[name] = "-> " + target
	}
	file("empty", "")
	file("block", strings.Repeat("b", blockSize))
	file("long", strings.Repeat("0123456", 10000))
	for _, name := range []string{"-", "[", "...", "a/b/c/d", "a/" + strings.Repeat("n", maxName)} {
		file(name, "text of "+name)
	}
	for i := range 1000 {
		file(fmt.Sprintf("many/%d-%s", i, strings.Repeat("x", i%50)), fmt.Sprint(i))
		link(fmt.Sprintf("links/%d", i), "../many/"+strings.Repeat("y", 1+i%300))
	}
	link("longest", strings.Repeat("z", 4000))
	return m, want
}

// written is a file with the image.
func written(t testing.TB, m *Image) string {
	t.Helper()
	var out bytes.Buffer
	if err := m.Write(&out, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	if out.Len()%blockSize != 0 {
		t.Errorf("the image has %d bytes; want whole blocks", out.Len())
	}
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The judge is the tool of those who made the format: fsck.erofs finds no fault and
// takes out what was put in. In package vm a kernel is the second judge.
func TestFsckExtracts(t *testing.T) {
	fsck := needs.Program(t, "fsck.erofs", "erofs-utils")
	m, want := sample(t)
	to := filepath.Join(t.TempDir(), "tree")
	if out, err := exec.Command(fsck, "--extract="+to, written(t, m)).CombinedOutput(); err != nil {
		t.Fatalf("fsck.erofs: %v: %s", err, out)
	}
	got := map[string]string{}
	err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		name, _ := filepath.Rel(to, path)
		switch {
		case err != nil || d.IsDir():
			return err
		case d.Type() == os.ModeSymlink:
			target, err := os.Readlink(path)
			got[name] = "-> " + target
			return err
		}
		text, err := os.ReadFile(path)
		got[name] = string(text)
		return err
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

// The kernel looks names up by halving: blocks and the names in them must ascend, and
// no entry or name may cross its block.
func TestDirectoryBlocks(t *testing.T) {
	m, _ := sample(t)
	if _, err := m.layOut(); err != nil {
		t.Fatal(err)
	}
	for name, n := range m.nodes {
		if n.children == nil {
			continue
		}
		names := namesOf(t, n.content)
		if !sort.StringsAreSorted(names) || len(names) != len(n.children)+2 {
			t.Errorf("folder %q has the names %.80q; want %d, sorted", name, names, len(n.children)+2)
		}
	}
	if got := len(m.nodes["many"].content); got <= 2*blockSize {
		t.Errorf("the folder of 1000 files has %d bytes; want several blocks", got)
	}
}

// namesOf reads a folder back, by the kernel's rules (fs/erofs/dir.c).
func namesOf(t *testing.T, dir []byte) (names []string) {
	t.Helper()
	for ; len(dir) > 0; dir = dir[min(blockSize, len(dir)):] {
		block := dir[:min(blockSize, len(dir))]
		place := func(i int) int { return int(binary.LittleEndian.Uint16(block[i*entrySize+8:])) }
		count := place(0) / entrySize
		for i := range count {
			end := len(block)
			if i+1 < count {
				end = place(i + 1)
			}
			name, _, _ := strings.Cut(string(block[place(i):end]), "\x00")
			names = append(names, name)
		}
	}
	return names
}

func TestRefused(t *testing.T) {
	m := New()
	if err := m.File("a", 0o644, nil); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"twice":            m.File("/a", 0o644, nil),
		"below a file":     m.File("a/b", 0o644, nil),
		"folder on a file": m.Dir("a", 0o755),
		"root as a file":   m.File("/", 0o644, nil),
		"long name":        m.File(strings.Repeat("n", maxName+1), 0o644, nil),
		"empty target":     m.Symlink("l", ""),
		"long target":      m.Symlink("l", strings.Repeat("t", maxInline+1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if !m.Has("./a") || m.Has("b") {
		t.Error("Has knows other names than a")
	}
}

// FuzzNames puts any names into one folder and reads them back.
func FuzzNames(f *testing.F) {
	f.Add("a\nb/c\n-\n...\n\xff")
	f.Fuzz(func(t *testing.T, text string) {
		m, want := New(), []string{".", ".."}
		for _, name := range strings.Split(text, "\n") {
			if strings.ContainsAny(name, "/\x00") || m.File(name, 0o644, nil) != nil || name == "" {
				continue
			}
			want = append(want, name)
		}
		if _, err := m.layOut(); err != nil {
			t.Fatal(err)
		}
		sort.Strings(want)
		if diff := cmp.Diff(want, namesOf(t, m.root.content)); diff != "" {
			t.Error(diff)
		}
	})
}
