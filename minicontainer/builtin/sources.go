package builtin

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"cutaway/unionfs"
)

// Sources are the programs on this machine that images are made of.
type Sources struct {
	BusyBox string // path of a static busybox, "" for none
	Self    string // path of this program
}

// Find looks where distributions put a static busybox. One that needs shared
// libraries would not start in an image that has none.
func Find() Sources {
	s := Sources{Self: "/proc/self/exe"}
	for _, path := range []string{"/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox", "/bin/busybox.static", "/usr/lib/busybox/busybox-static"} {
		if isStatic(path) {
			s.BusyBox = path
			break
		}
	}
	return s
}

// isStatic looks for a program interpreter (PT_INTERP, elf(5)): the dynamic
// linker that a dynamically linked program is started through.
func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// needs are the files that an image is made of.
func (s Sources) needs(name string) []string {
	switch {
	case s.BusyBox == "":
		return []string{s.Self}
	case name == "stress":
		return []string{s.BusyBox, s.Self}
	}
	return []string{s.BusyBox}
}

// check refuses to put a program into an image in which it could not start.
func (s Sources) check(name string) error {
	if needs := s.needs(name); needs[len(needs)-1] == s.Self && !isStatic(s.Self) {
		return &unionfs.Unsupported{
			What: "image " + name, Reason: "this program needs shared libraries, which the image has not",
			Remedy: "build cutaway with CGO_ENABLED=0",
		}
	}
	return nil
}

// key tells one state of files from another without reading them. A file that
// was replaced has another inode or another time of change, which nobody can
// set back.
func key(paths []string) (string, error) {
	var b strings.Builder
	for _, path := range paths {
		fi, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		st := fi.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%d:%d size %d mtime %d ctime %d.%09d;", st.Dev, st.Ino, st.Size, fi.ModTime().UnixNano(), st.Ctim.Sec, st.Ctim.Nsec)
	}
	return b.String(), nil
}

// busyBox is what a busybox tells about itself.
type busyBox struct {
	version string   // "BusyBox v1.35.0 (Debian 1:1.35.0-4)"
	names   []string // "bin/ls", "usr/bin/env", where its programs belong
}

func askBusyBox(path string) (busyBox, error) {
	list, err := exec.Command(path, "--list-full").Output()
	help, herr := exec.Command(path).Output()
	if err := errors.Join(err, herr); err != nil {
		return busyBox{}, fmt.Errorf("ask %s for its programs: %w", path, err)
	}
	return parseBusyBox(list, help), nil
}

// parseBusyBox reads the output of `busybox --list-full` and of `busybox`.
func parseBusyBox(list, help []byte) busyBox {
	version, _, _ := bytes.Cut(help, []byte(" multi-call"))
	b := busyBox{version: strings.TrimSpace(string(version))}
	for name := range strings.Lines(string(list)) {
		// linuxrc in the root folder was for initial ram disks.
		if name = strings.TrimSpace(name); strings.Contains(name, "/") {
			b.names = append(b.names, name)
		}
	}
	slices.Sort(b.names)
	return b
}
