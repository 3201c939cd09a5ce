// Package labs holds the lessons of cutaway in order, one file for each lab: data
// plus short named functions. How a lab is performed stands in labs/walk, what it
// works with in labs/bench, its prose in assets/labs.
package labs

import (
	"fmt"
	"slices"
	"strings"

	"cutaway/internal/probe"
	"cutaway/labs/bench"
)

// Entry is a lab by name, and how to make it. All labs with all their steps,
// claims and shell lines take as long to make as the program takes to start, and
// whoever asks for a lab seldom wants more than a name, or that one.
type Entry struct {
	ID, Name string
	Make     func() bench.Lab
}

// Key names the prose of the lab: "01-mount".
func (e Entry) Key() string { return e.ID + "-" + e.Name }

// Index lists the labs in order.
func Index() []Entry {
	return []Entry{
		{"00", "ground", groundLab},
		{"01", "mount", mountLab},
		{"02", "pid", pidLab},
		{"03", "uts", utsLab},
		{"04", "ipc", ipcLab},
		{"05", "user", userLab},
		{"06", "net", netLab},
		{"07", "cgroupns", cgroupnsLab},
		{"08", "time", timeLab},
		{"09", "together", togetherLab},
		{"10", "groups", groupsLab},
		{"11", "cpu", cpuLab},
		{"12", "memory", memoryLab},
		{"13", "share", shareLab},
		{"14", "limits", limitsLab},
		{"15", "aufs", aufsLab},
		{"16", "overlay2", overlay2Lab},
		{"17", "images", imagesLab},
		{"18", "drivers", driversLab},
		{"19", "mapper", mapperLab},
		{"20", "thin", thinLab},
		{"21", "compare", compareLab},
		{"22", "none", noneLab},
		{"23", "host", hostNetLab},
		{"24", "shared", containerNetLab},
		{"25", "bridge", bridgeLab},
		{"26", "ports", portsLab},
		{"27", "cnm", cnmLab},
		{"28", "overlaynet", overlayLab},
		{"29", "bind", bindLab},
		{"30", "volume", volumeLab},
		{"31", "sharing", sharingLab},
		{"32", "backup", backupLab},
		{"33", "init", initLab},
		{"34", "runtime", runtimeLab},
		{"35", "daemon", daemonLab},
		{"36", "security", securityLab},
		{"37", "container", containerLab},
	}
}

// All makes all labs.
func All() []bench.Lab { return made(Index()) }

func made(entries []Entry) []bench.Lab {
	var labs []bench.Lab
	for _, e := range entries {
		labs = append(labs, e.Make())
	}
	return labs
}

// Find makes the lab of that number, if there is one.
func Find(id string) (bench.Lab, bool) {
	for _, e := range Index() {
		if e.ID == id {
			return e.Make(), true
		}
	}
	return bench.Lab{}, false
}

// Key names the prose of a lab: "01-mount".
func Key(l bench.Lab) string { return Entry{ID: l.ID, Name: l.Name}.Key() }

// Keys are the keys of all labs by number.
func Keys() map[string]string {
	keys := map[string]string{}
	for _, e := range Index() {
		keys[e.ID] = e.Key()
	}
	return keys
}

// Needs lists the kernel features that the labs and their steps need.
func Needs(picked []bench.Lab) []probe.ID {
	var ids []probe.ID
	for _, l := range picked {
		ids = append(ids, l.Needs...)
		for _, s := range l.Steps {
			ids = append(ids, s.Needs...)
		}
	}
	return ids
}

// NeededBy lists for each kernel feature the labs that need it.
func NeededBy() map[probe.ID][]string {
	needed := map[probe.ID][]string{}
	for _, l := range All() {
		for _, id := range Needs([]bench.Lab{l}) {
			if !slices.Contains(needed[id], l.ID) {
				needed[id] = append(needed[id], l.ID)
			}
		}
	}
	return needed
}

// needs names kernel features by their probes' ids.
func needs(ids ...probe.ID) []probe.ID { return ids }

// Select finds labs by number ("1", "01"), name ("mount"), range ("01-09") or
// "all". They come in order, each once.
func Select(args []string) ([]bench.Lab, error) {
	all := Index()
	wanted := map[string]bool{}
	for _, arg := range args {
		ids, err := selectOne(all, arg)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			wanted[id] = true
		}
	}
	return made(slices.DeleteFunc(all, func(e Entry) bool { return !wanted[e.ID] })), nil
}

func selectOne(all []Entry, arg string) ([]string, error) {
	if arg == "all" {
		return between(all, "00", "99"), nil
	}
	for _, e := range all {
		if e.Name == arg || e.ID == arg || e.ID == "0"+arg {
			return []string{e.ID}, nil
		}
	}
	from, to, isRange := strings.Cut(arg, "-")
	if !isRange || !digits(from) || !digits(to) {
		return nil, fmt.Errorf("there is no lab %q; `cutaway list` names them all", arg)
	}
	from, to = fmt.Sprintf("%02s", from), fmt.Sprintf("%02s", to)
	if from > to {
		return nil, fmt.Errorf("the range %s runs backwards; did you mean %s-%s?", arg, to, from)
	}
	ids := between(all, from, to)
	if len(ids) == 0 {
		return nil, fmt.Errorf("there is no lab in the range %s; the labs are %s to %s", arg, all[0].ID, all[len(all)-1].ID)
	}
	return ids, nil
}

func digits(s string) bool {
	return s != "" && len(s) <= 2 && strings.Trim(s, "0123456789") == ""
}

func between(all []Entry, from, to string) []string {
	var ids []string
	for _, e := range all {
		if e.ID >= from && e.ID <= to {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
