package probe

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sampleConfig = `#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.1.192 Kernel Configuration
#
CONFIG_NAMESPACES=y
CONFIG_OVERLAY_FS=m
# CONFIG_DUMMY is not set
CONFIG_LSM="landlock,yama,bpf"
CONFIG_HZ=250
# CONFIG_ odd line
`

func parsed(t *testing.T, s string) *Config {
	t.Helper()
	c, err := ParseConfig("sample", strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseConfig(t *testing.T) {
	c := parsed(t, sampleConfig)
	if c.Version != "6.1.192" {
		t.Errorf("Version = %q; want 6.1.192", c.Version)
	}
	want := map[string]string{"NAMESPACES": "y", "OVERLAY_FS": "m", "DUMMY": "n", "LSM": "landlock,yama,bpf", "HZ": "250"}
	if diff := cmp.Diff(want, c.values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if c.Value("NAMESPACE") != "" || c.On("DUMMY") || !c.On("OVERLAY_FS") {
		t.Errorf("Value or On is wrong about %v", c.values)
	}
}

// The name of the file says nothing about whether it is compressed.
func TestParseConfigGzip(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(sampleConfig))
	z.Close()
	c, err := ParseConfig("config", bytes.NewReader(b.Bytes()))
	if err != nil || c.Value("HZ") != "250" {
		t.Errorf("ParseConfig(gzip) = %v, %v", c, err)
	}
	if _, err := ParseConfig("config", bytes.NewReader(b.Bytes()[:20])); err == nil {
		t.Error("ParseConfig(cut gzip) succeeded")
	}
}

func TestParseConfigRefusesOtherFiles(t *testing.T) {
	for _, s := range []string{"", "hello\n", "# CONFIG_X\nCONFIG_\n=y\n"} {
		if c, err := ParseConfig("x", strings.NewReader(s)); err == nil {
			t.Errorf("ParseConfig(%q) = %v; want an error", s, c.values)
		}
	}
}

func TestFindConfig(t *testing.T) {
	root := t.TempDir()
	put := func(path, version string) {
		full := filepath.Join(root, path)
		_ = os.MkdirAll(filepath.Dir(full), 0o755)
		if err := os.WriteFile(full, []byte("# Linux/x86 "+version+" Kernel Configuration\nCONFIG_X=y\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const release = "6.1.0-13-amd64"
	if _, err := FindConfig(root, release); !errors.Is(err, ErrNoConfig) {
		t.Errorf("FindConfig(nothing) = %v; want ErrNoConfig", err)
	}
	put("/usr/src/linux/.config", "5.10.3") // somebody's other kernel
	if c, err := FindConfig(root, release); err == nil {
		t.Errorf("FindConfig took %s of release %s for %s", c.Source, c.Version, release)
	}
	put("/usr/src/linux/.config", "6.1.0")
	if c, err := FindConfig(root, release); err != nil || c.Source != "/usr/src/linux/.config" {
		t.Errorf("FindConfig = %v, %v; want /usr/src/linux/.config", c, err)
	}
	put("/boot/config-"+release, "6.1.0")
	if c, err := FindConfig(root, release); err != nil || c.Source != "/boot/config-"+release {
		t.Errorf("FindConfig = %v, %v; want the one in /boot", c, err)
	}
}

func TestSameRelease(t *testing.T) {
	for _, c := range []struct {
		header, release string
		want            bool
	}{
		{"6.1.0", "6.1.0-13-amd64", true}, {"6.1.0", "6.1.0", true}, {"6.18.44", "6.18.44-fc-v657", true},
		{"6.1.0", "6.1.01", false}, {"6.1.0", "6.10.0", false}, {"", "6.1.0", false}, {"6.1.0-rc1", "6.1.0-rc1+", true},
	} {
		if got := sameRelease(c.header, c.release); got != c.want {
			t.Errorf("sameRelease(%q, %q) = %v; want %v", c.header, c.release, got, c.want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(sampleConfig))
	f.Add([]byte{0x1f, 0x8b})
	f.Add([]byte("CONFIG_A=\"\n# CONFIG_ is not set\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig("fuzz", bytes.NewReader(b))
		if err != nil {
			return
		}
		for name := range c.values {
			if name == "" || strings.ContainsAny(name, "=\n") {
				t.Errorf("symbol %q", name)
			}
		}
	})
}

func TestJudgeConfig(t *testing.T) {
	c := parsed(t, "# Linux/x86 5.10.7 Kernel Configuration\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n")
	for want, state := range map[string]State{
		"A": Yes, "B": Module, "C": No, "D": Unknown, "A+B": Module, "A+C": No, "C|A": Yes, "C|A+B": Module, "C|D": Unknown,
	} {
		got := JudgeConfig(c, []ConfigNeed{{Want: want}})
		if len(got) != 1 || got[0].State != state {
			t.Errorf("JudgeConfig(%q) = %v; want %s", want, got, state)
		}
	}
	for want, applies := range map[string]bool{"A <5.9": false, "A <5.10": false, "A <=5.10": true, "A >=5.9": true, "A >=5.11": false, "A >=5.2 <5.11": true} {
		if got := len(JudgeConfig(c, []ConfigNeed{{Want: want}})) == 1; got != applies {
			t.Errorf("JudgeConfig(%q) on 5.10 applies = %v; want %v", want, got, applies)
		}
	}
}

func TestDisagreement(t *testing.T) {
	on, off := []ConfigFact{{"A", "y"}}, []ConfigFact{{"A", "n"}}
	for _, c := range []struct {
		r    Result
		want string
	}{
		{Result{State: Yes, Config: on}, ""}, {Result{State: No, Config: off}, ""}, {Result{State: No}, ""},
		{Result{State: Denied, Config: on}, ""},
		{Result{State: No, Config: []ConfigFact{{"A", ""}}}, ""},
		{Result{State: No, Config: on}, configYesKernelNo},
		{Result{State: Off, Config: on}, configYesKernelOff},
		{Result{State: Yes, Config: off}, configNoKernelYes},
	} {
		if got := Disagreement(c.r); got != c.want {
			t.Errorf("Disagreement(%s, %v) = %q; want %q", c.r.State, c.r.Config, got, c.want)
		}
	}
}
