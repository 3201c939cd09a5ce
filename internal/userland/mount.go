package userland

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounted is a line of /proc/self/mounts.
type mounted struct{ source, target, kind, options string }

func readMounts(path string) ([]mounted, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []mounted
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 4 {
			list = append(list, mounted{plainPath(fields[0]), plainPath(fields[1]), fields[2], fields[3]})
		}
	}
	return list, nil
}

// plainPath takes the kernel's \040 for a space back.
func plainPath(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// mountOf is the mount that a path lies on: the longest target above it.
func mountOf(mounts []mounted, path string) mounted {
	best := mounted{source: "-", target: path}
	length := -1
	abs, err := filepath.Abs(path)
	if err != nil {
		return best
	}
	for _, m := range mounts {
		if (abs == m.target || strings.HasPrefix(abs+"/", strings.TrimSuffix(m.target, "/")+"/")) && len(m.target) >= length {
			best, length = m, len(m.target)
		}
	}
	return best
}

// mountFlags are mount(2)'s flags by their names in -o.
var mountFlags = [...]struct {
	name string
	flag uintptr
}{
	{"ro", unix.MS_RDONLY}, {"nosuid", unix.MS_NOSUID}, {"nodev", unix.MS_NODEV}, {"noexec", unix.MS_NOEXEC}, {"bind", unix.MS_BIND},
	{"rbind", unix.MS_BIND | unix.MS_REC}, {"remount", unix.MS_REMOUNT}, {"noatime", unix.MS_NOATIME}, {"private", unix.MS_PRIVATE},
	{"rprivate", unix.MS_PRIVATE | unix.MS_REC}, {"shared", unix.MS_SHARED}, {"slave", unix.MS_SLAVE}, {"rw", 0}, {"defaults", 0},
}

func runMount(c *call) error {
	f := c.flags()
	kind := f.StringP("types", "t", "", "type of the file system")
	options := f.StringP("options", "o", "", "such as ro,noexec,size=1m")
	bind := f.Bool("bind", false, "show a folder in a second place")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	if len(c.args) == 0 {
		mounts, err := readMounts("/proc/self/mounts")
		for _, m := range mounts {
			fmt.Fprintf(c.out, "%s on %s type %s (%s)\n", m.source, m.target, m.kind, m.options)
		}
		return err
	}
	flags, data := splitOptions(*options)
	if *bind {
		flags |= unix.MS_BIND
	}
	source, target := c.args[0], c.args[len(c.args)-1]
	if err := unix.Mount(source, target, *kind, flags, data); err != nil {
		return &fs.PathError{Op: "mount", Path: target, Err: err}
	}
	// A bind mount takes no notice of ro and its like when it is made.
	if flags&unix.MS_BIND != 0 && flags&(unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC) != 0 {
		if err := unix.Mount("", target, "", flags|unix.MS_REMOUNT, ""); err != nil {
			return &fs.PathError{Op: "mount", Path: target, Err: err}
		}
	}
	return nil
}

// splitOptions parts what mount(2) takes as flags from what it gives to the file
// system.
func splitOptions(text string) (flags uintptr, data string) {
	var rest []string
words:
	for word := range strings.SplitSeq(text, ",") {
		for _, f := range mountFlags {
			if word == f.name {
				flags |= f.flag
				continue words
			}
		}
		if word != "" {
			rest = append(rest, word)
		}
	}
	return flags, strings.Join(rest, ",")
}

func runUmount(c *call) error {
	f := c.flags()
	lazy := f.BoolP("lazy", "l", false, "out of the tree now, given back when nobody uses it any more")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	flags := 0
	if *lazy {
		flags = unix.MNT_DETACH
	}
	for _, path := range c.args {
		if err := unix.Unmount(path, flags); err != nil {
			c.complain(&fs.PathError{Op: "umount", Path: path, Err: err})
		}
	}
	return nil
}
