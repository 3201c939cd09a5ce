package vm

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"
)

// arFile renders an ar archive of name, content pairs.
func arFile(pairs ...string) []byte {
	out := arMagic
	for i := 0; i < len(pairs); i += 2 {
		out += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", pairs[i], 0, 0, 0, "100644", len(pairs[i+1]), pairs[i+1])
		if len(pairs[i+1])%2 == 1 {
			out += "\n"
		}
	}
	return []byte(out)
}

// debFile renders a package with the given files.
func debFile(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	x, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(x)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
	}
	if err := errors.Join(w.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	return arFile("debian-binary", "2.0\n", "control.tar.xz", "odd", "data.tar.xz", packed.String())
}

func TestArMembers(t *testing.T) {
	r, err := newArReader(bytes.NewReader(arFile("one", "1", "two/", "22")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		name, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.body)
		got = append(got, name+"="+string(text))
	}
	if diff := cmp.Diff([]string{"one=1", "two=22"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnpackDeb(t *testing.T) {
	deb := debFile(t, map[string]string{
		"boot/vmlinuz-6.1": "kernel", "boot/config-6.1": "CONFIG_X=y", "boot/System.map-6.1": "no",
		"lib/modules/6.1/kernel/fs/x.ko": "module", "usr/share/doc/copyright": "no",
	})
	dir := t.TempDir()
	if err := unpackDeb(bytes.NewReader(deb), dir, kernelPlace); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"vmlinuz": "kernel", "config": "CONFIG_X=y", "modules/kernel/fs/x.ko": "module"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s holds %q (%v); want %q", name, got, err, want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("unpackDeb left %d entries; want 3", len(entries))
	}
}

func TestUnpackDebDamaged(t *testing.T) {
	deb := debFile(t, map[string]string{"boot/vmlinuz-6.1": strings.Repeat("kernel", 1000)})
	for _, cut := range []int{3, 30, 100, len(deb) / 2, len(deb) - 30} {
		err := unpackDeb(bytes.NewReader(deb[:cut]), t.TempDir(), kernelPlace)
		if err == nil {
			t.Errorf("unpackDeb of the first %d of %d bytes: no error", cut, len(deb))
		}
	}
	if err := unpackDeb(bytes.NewReader(arFile("debian-binary", "2.0\n")), t.TempDir(), kernelPlace); err == nil || !strings.Contains(err.Error(), "data.tar") {
		t.Errorf("unpackDeb without data.tar = %v; want an error that names it", err)
	}
}

func TestCheckSum(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.deb")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := offer{Size: 5, SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}
	if err := checkSum(file, good); err != nil {
		t.Error(err)
	}
	good.Size = 6
	if err := checkSum(file, good); !errors.Is(err, ErrDamaged) {
		t.Errorf("checkSum of a short file = %v; want ErrDamaged", err)
	}
}

// readCpio reads back what cpioWriter wrote, by the kernel's rules.
func readCpio(t *testing.T, data []byte) map[string]string {
	t.Helper()
	got := map[string]string{}
	for {
		if len(data) < 110 || string(data[:6]) != "070701" {
			t.Fatalf("cpio header %q", data[:min(len(data), 20)])
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(string(data[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		mode, size, nameSize := field(1), field(6), field(11)
		name := string(data[110 : 110+nameSize-1])
		data = data[(110+nameSize+3)&^3:]
		if name == "TRAILER!!!" {
			return got
		}
		got[name] = fmt.Sprintf("%o %s", mode, data[:size])
		data = data[(size+3)&^3:]
	}
}

func TestCpioReadBack(t *testing.T) {
	var out bytes.Buffer
	c := newCpioWriter(&out, time.Unix(1, 0))
	err := errors.Join(c.File("usr/bin/a", 0o755, []byte("12345")), c.Symlink("/init", "usr/bin/a"),
		c.Dir("tmp", 0o1777), c.CharDev("dev/console", 0o600, 5, 1), c.Close())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"usr": "40755 ", "usr/bin": "40755 ", "usr/bin/a": "100755 12345",
		"init": "120777 usr/bin/a", "tmp": "41777 ", "dev": "40755 ", "dev/console": "20600 "}
	if diff := cmp.Diff(want, readCpio(t, out.Bytes())); diff != "" {
		t.Error(diff)
	}
	if err := c.File("tmp", 0o644, nil); err == nil {
		t.Error("an entry was written twice without an error")
	}
}

// bootImage renders the smallest file that parseBzImage takes for whole.
func bootImage(payload []byte, unpacked int) []byte {
	le := binary.LittleEndian
	img := make([]byte, 1024)
	copy(img[bootMagic:], "HdrS")
	le.PutUint16(img[bootVersion:], 0x20f)
	le.PutUint16(img[bootXloadflags:], xlfKernel64)
	img[bootSetupSects] = 1
	copy(img[0x300:], "6.1.0-test (me) #1")
	le.PutUint16(img[bootKernelVersion:], 0x100)
	payload = le.AppendUint32(payload, uint32(unpacked))
	le.PutUint32(img[bootPayloadLength:], uint32(len(payload)))
	for len(payload)%16 != 0 {
		payload = append(payload, 0)
	}
	le.PutUint32(img[bootSyssize:], uint32(len(payload)/16))
	return append(img, payload...)
}

func TestBootImage(t *testing.T) {
	text := []byte(strings.Repeat("kernel ", 100))
	for _, how := range packings[1:] {
		var packed bytes.Buffer
		w, err := how.writer(&packed)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(text)
		w.Close()
		img, err := parseBzImage(bootImage(packed.Bytes(), len(text)))
		if err != nil {
			t.Fatalf("%s: %v", how.name, err)
		}
		got, ok, err := img.ELF()
		if !ok || err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: ELF() = %q, %v, %v; want the text back", how.name, got, ok, err)
		}
		if img.Release != "6.1.0-test" {
			t.Errorf("Release = %q; want 6.1.0-test", img.Release)
		}
	}
}

func TestBootImageRefused(t *testing.T) {
	whole := bootImage([]byte("something"), 5)
	arm := make([]byte, 1024)
	copy(arm[0x38:], "ARM\x64")
	old := append([]byte(nil), whole...)
	old[bootXloadflags] = 0
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"truncated", whole[:len(whole)-1], "truncated"},
		{"empty", nil, "an empty file"},
		{"arm64", arm, "arm64"},
		{"32 bit", old, "another architecture"},
		{"text", []byte("#!/bin/sh\n"), "#!/bin"},
		{"deb", []byte("!<arch>\ndebian-binary"), ".deb"},
	} {
		_, err := parseBzImage(c.data)
		if !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: parseBzImage = %v; want ErrImage that mentions %q", c.name, err, c.want)
		}
	}
}

func TestRecord(t *testing.T) {
	record, err := parseRecord(strings.NewReader("Package: linux-image-6.1.0-56-cloud-amd64\nVersion: 6.1.192-2\n" +
		"Description: a\n b\nArchitecture: amd64\nSize: 7\nSHA256: " + strings.Repeat("a", 64) + "\n\nPackage: other\n"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseOffer(record)
	if err != nil || o.Name() != "linux-image-6.1.0-56-cloud-amd64_6.1.192-2" || o.kernel().Release != "6.1.0-56-cloud-amd64" {
		t.Errorf("parseOffer = %+v, %v", o, err)
	}
	if got := kernelDepends("foo, linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2) | bar"); got != "linux-image-6.1.0-56-cloud-amd64" {
		t.Errorf("kernelDepends = %q", got)
	}
	if got := kernelDepends("kmod, linux-base (>= 4.3~)"); got != "" {
		t.Errorf("kernelDepends of a kernel = %q; want none", got)
	}
}

func FuzzAr(f *testing.F) {
	f.Add(arFile("one", "1", "two", "22"))
	f.Add([]byte(arMagic + "x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := newArReader(bytes.NewReader(data))
		for err == nil {
			_, err = r.Next()
		}
	})
}

func FuzzDeb(f *testing.F) {
	f.Add(debFile(f, map[string]string{"boot/vmlinuz-6": "k", "lib/modules/6/a.ko": "m"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = unpackDeb(bytes.NewReader(data), t.TempDir(), kernelPlace)
	})
}

func FuzzBootImage(f *testing.F) {
	f.Add(bootImage([]byte{0x1f, 0x8b, 8}, 5))
	f.Add(bootImage([]byte("\x02\x21\x4c\x18\x05\x00\x00\x00"), 5))
	f.Fuzz(func(t *testing.T, data []byte) {
		if img, err := parseBzImage(data); err == nil && img.unpackedBytes < 1<<20 {
			_, _, _ = img.ELF()
		}
		hasPVH(data)
		describe(data)
	})
}

func FuzzRecord(f *testing.F) {
	f.Add("Package: a\n b\n\nPackage: c\n")
	f.Fuzz(func(t *testing.T, text string) {
		if record, err := parseRecord(strings.NewReader(text)); err == nil {
			_, _ = parseOffer(record)
			kernelDepends(record["Depends"])
		}
	})
}
