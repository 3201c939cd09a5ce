package nsdemo

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Switch is a setting of the kernel or the distribution that can refuse new
// namespaces.
type Switch struct {
	Name    string // as for sysctl(8)
	File    string
	Present bool // false: this kernel does not have it, so it refuses nothing
	Value   string
	Refuses bool   // at this value
	Effect  string // what it does when it refuses
	Try     string // the command that changes it
}

// switchFact tells which values refuse.
type switchFact struct {
	name, effect string
	refuses      func(value int) bool
	good         string
}

var switchFacts = []switchFact{
	{"user.max_user_namespaces", "no user can make that many user namespaces (ENOSPC)",
		func(n int) bool { return n == 0 }, "15000"},
	{"kernel.unprivileged_userns_clone", "only root can make user namespaces (EPERM); Debian's and Arch's patch",
		func(n int) bool { return n == 0 }, "1"},
	{"kernel.apparmor_restrict_unprivileged_userns", "an ordinary user's program needs an AppArmor profile that allows userns, " +
		"or it has no capabilities in its user namespace (EACCES, EPERM); Ubuntu's",
		func(n int) bool { return n != 0 }, "0"},
	{"kernel.apparmor_restrict_unprivileged_unconfined", "unconfined programs cannot change to a profile that allows user namespaces; Ubuntu's",
		func(n int) bool { return n != 0 }, "0"},
}

// Switches reads what may refuse user namespaces to an ordinary user, from
// procRoot/sys (user_namespaces(7), namespaces(7)).
func Switches(procRoot string) []Switch {
	var list []Switch
	for _, f := range switchFacts {
		file := filepath.Join(procRoot, "sys", strings.ReplaceAll(f.name, ".", "/"))
		s := Switch{Name: f.name, File: file, Effect: f.effect, Try: "sudo sysctl -w " + f.name + "=" + f.good}
		if text, err := os.ReadFile(file); err == nil {
			s.Present, s.Value = true, strings.TrimSpace(string(text))
			n, err := strconv.Atoi(s.Value)
			s.Refuses = err == nil && f.refuses(n)
		}
		list = append(list, s)
	}
	return list
}

// Limits reads procRoot/sys/user/max_KIND_namespaces: how many namespaces of each
// kind every user may make in the reader's user namespace. A kind without a limit
// file is not in the map.
func Limits(procRoot string) (map[Kind]int, error) {
	limits := map[Kind]int{}
	for _, k := range Kinds() {
		n, err := readNumber(k.LimitFile(procRoot))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		limits[k] = n
	}
	return limits, nil
}
