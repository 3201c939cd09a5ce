package probe

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
)

// statusField returns the value of one line of /proc/PID/status.
func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// hasCap tells whether a hexadecimal capability set holds the capability.
func hasCap(set string, capability uint) bool {
	bits, err := strconv.ParseUint(set, 16, 64)
	return err == nil && bits&(1<<capability) != 0
}

// hasField tells whether any line of the text holds the word as a whole field:
// "xfs" is not in "nodev\tnotxfs".
func hasField(text, word string) bool {
	for line := range strings.Lines(text) {
		for _, field := range strings.Fields(line) {
			if field == word {
				return true
			}
		}
	}
	return false
}

// A mountLine is one line of /proc/self/mountinfo, see proc_pid_mountinfo(5):
//
//	36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda rw,prjquota
type mountLine struct {
	root, point, options, fstype, super string
	device                              string // major:minor
}

// parseMountinfo reads mountinfo; lines that it does not understand are left out.
func parseMountinfo(r io.Reader) []mountLine {
	var list []mountLine
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		left, right, ok := strings.Cut(in.Text(), " - ")
		l, s := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(s) < 3 {
			continue
		}
		list = append(list, mountLine{
			device: l[2], root: unoctal(l[3]), point: unoctal(l[4]), options: l[5],
			fstype: s[0], super: s[2],
		})
	}
	return list
}

// unoctal undoes \040 and friends.
func unoctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// ownMounts reads this process's mount table.
func ownMounts() []mountLine {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseMountinfo(f)
}

// text returns the trimmed content of a small file, "" when it cannot be read.
func text(file string) string {
	b, _ := os.ReadFile(file)
	return strings.TrimSpace(string(b))
}

// exists tells whether a path leads to anything.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
