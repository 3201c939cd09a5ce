package probe

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// hostSysctl reads a switch of the machine and never writes it.
func hostSysctl(_ *stage, arg string) Finding {
	file, state, _ := strings.Cut(arg, " ")
	path := "/proc/sys/" + strings.ReplaceAll(file, ".", "/")
	value, err := os.ReadFile(path)
	if err != nil {
		return asked("read("+path+")", err, driver)
	}
	f := read(Yes, path, strings.TrimSpace(string(value)))
	if state == "exists" || f.Evidence[0].Detail != "0" {
		return f
	}
	f.State = Off
	return f.because("it is 0 on this machine")
}

// writeSysctl turns a switch on in the child's own net namespace: that proves
// the switch, not the machine's value.
func writeSysctl(_ *stage, name string) Finding {
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	return asked("write 1 to "+path+" of a new net namespace", os.WriteFile(path, []byte("1"), 0),
		verdict{absent: []unix.Errno{unix.ENOENT}}).because("/proc/sys is mounted read-only in most containers")
}
