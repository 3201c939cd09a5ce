package probe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
)

// Config is a parsed kernel config file.
type Config struct {
	Source  string            // where it was read
	Version string            // release in its header, "" when it has none
	values  map[string]string // symbol without CONFIG_ -> y, m, n, or the text
}

// ErrNoConfig means that no kernel config was found in any known place. It is
// no obstacle: the live probes do not need one.
var ErrNoConfig = errors.New("no kernel config found")

// headerVersion finds 6.1.192 in "# Linux/x86 6.1.192 Kernel Configuration".
var headerVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^# Linux(?:/\S+)? (\d+\.\d+\S*) Kernel Configuration`)
})

// ParseConfig reads a kernel config, plain or gzip; which one is told by the
// first bytes, because file names lie.
func ParseConfig(source string, r io.Reader) (*Config, error) {
	in := bufio.NewReader(r)
	var text io.Reader = in
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("read kernel config %s: %w", source, err)
		}
		text = z
	}
	c := &Config{Source: source, values: map[string]string{}}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		c.line(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read kernel config %s: %w", source, err)
	}
	if len(c.values) == 0 {
		return nil, fmt.Errorf("read kernel config %s: not a line in it reads CONFIG_NAME=value", source)
	}
	return c, nil
}

// line takes one line of the three forms that carry something.
func (c *Config) line(s string) {
	if m := headerVersion().FindStringSubmatch(s); m != nil && c.Version == "" {
		c.Version = m[1]
	}
	if name, ok := strings.CutPrefix(s, "# CONFIG_"); ok {
		if name, ok = strings.CutSuffix(name, " is not set"); ok && name != "" {
			c.values[name] = "n"
		}
		return
	}
	if rest, ok := strings.CutPrefix(s, "CONFIG_"); ok {
		if name, value, ok := strings.Cut(rest, "="); ok && name != "" {
			c.values[name] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
}

// Value returns y, m, n, a text, or "" for a symbol that is not mentioned.
func (c *Config) Value(symbol string) string {
	if c == nil {
		return ""
	}
	return c.values[symbol]
}

// On tells whether the symbol is built in or a module.
func (c *Config) On(symbol string) bool {
	v := c.Value(symbol)
	return v == "y" || v == "m"
}

// LoadConfig reads the config file at path.
func LoadConfig(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseConfig(path, f)
}

// FindConfig looks for the config of the running kernel below root ("" for
// this machine), release being what uname -r says. It returns ErrNoConfig
// when there is none, and never one that belongs to another release.
func FindConfig(root, release string) (*Config, error) {
	for _, place := range configPlaces(release) {
		c, err := LoadConfig(root + place.path)
		if err != nil {
			continue
		}
		// A path that names the release is believed: distributions put the
		// upstream version into the header (6.1.192) and another number into
		// the release (6.1.0-56).
		if place.named || sameRelease(c.Version, release) {
			c.Source = place.path
			return c, nil
		}
	}
	return nil, ErrNoConfig
}

type configPlace struct {
	path  string
	named bool // the path itself names the release, whatever the header says
}

// configPlaces is the union of where the known tools look, best first.
func configPlaces(r string) []configPlace {
	return []configPlace{
		{"/proc/config.gz", true},
		{"/boot/config-" + r, true},
		{"/usr/lib/modules/" + r + "/config", true},
		{"/lib/modules/" + r + "/build/.config", true},
		{"/usr/lib/ostree-boot/config-" + r, true},
		{"/usr/lib/kernel/config-" + r, true},
		{"/usr/src/linux-headers-" + r + "/.config", true},
		{"/usr/src/linux-" + r + "/.config", true},
		{"/usr/src/linux/.config", false}, // whatever was unpacked there last
	}
}

// sameRelease compares a config header with uname -r. The header carries the
// kernel's own version; the release adds the distribution's suffix to it.
func sameRelease(header, release string) bool {
	if header == "" {
		return false
	}
	rest, ok := strings.CutPrefix(release, header)
	return ok && (rest == "" || rest[0] == '-' || rest[0] == '+' || rest[0] == '.')
}
