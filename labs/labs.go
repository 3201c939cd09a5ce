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

// All are the labs in order.
func All() []bench.Lab {
	return []bench.Lab{
		groundLab(),
		mountLab(),
		pidLab(),
		utsLab(),
		ipcLab(),
		userLab(),
		netLab(),
		cgroupnsLab(),
		timeLab(),
		togetherLab(),
		groupsLab(),
		cpuLab(),
		memoryLab(),
		shareLab(),
		limitsLab(),
		aufsLab(),
		overlay2Lab(),
		imagesLab(),
		driversLab(),
		mapperLab(),
		thinLab(),
		compareLab(),
		noneLab(),
		hostNetLab(),
		containerNetLab(),
		bridgeLab(),
		portsLab(),
		cnmLab(),
		overlayLab(),
		bindLab(),
		volumeLab(),
		sharingLab(),
		backupLab(),
		initLab(),
		runtimeLab(),
		daemonLab(),
		securityLab(),
		containerLab(),
	}
}

// Key names the prose of a lab: "01-mount".
func Key(l bench.Lab) string { return l.ID + "-" + l.Name }

// Keys are the keys of all labs by number.
func Keys() map[string]string {
	keys := map[string]string{}
	for _, l := range All() {
		keys[l.ID] = Key(l)
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
	all := All()
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
	return slices.DeleteFunc(all, func(l bench.Lab) bool { return !wanted[l.ID] }), nil
}

func selectOne(all []bench.Lab, arg string) ([]string, error) {
	if arg == "all" {
		return between(all, "00", "99"), nil
	}
	for _, l := range all {
		if l.Name == arg || l.ID == arg || l.ID == "0"+arg {
			return []string{l.ID}, nil
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

func between(all []bench.Lab, from, to string) []string {
	var ids []string
	for _, l := range all {
		if l.ID >= from && l.ID <= to {
			ids = append(ids, l.ID)
		}
	}
	return ids
}
