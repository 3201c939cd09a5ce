package probe

import (
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// sortedWords joins words in a stable order.
func sortedWords(words []string) string {
	sort.Strings(words)
	return strings.Join(words, " ")
}

// v2Mount mounts cgroup2 in the child's own mount namespace. The default
// hierarchy always exists, so that one more view of it changes nothing; in a
// user namespace it needs a cgroup namespace too.
func v2Mount(s *stage, _ string) Finding {
	return onThread(func() Finding {
		if s.Userns {
			if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
				return asked("unshare(CLONE_NEWCGROUP)", err, absentEINVAL)
			}
		}
		dir := s.fresh()
		err := unix.Mount("none", dir, "cgroup2", 0, "")
		f := asked("mount(cgroup2)", err, driver)
		if err != nil {
			return f
		}
		defer unix.Unmount(dir, unix.MNT_DETACH)
		f = f.with("controllers: " + text(dir+"/cgroup.controllers"))
		if m, ok := cgroupPoint(ownMounts(), ""); ok {
			f = f.saw("file", "/proc/self/mountinfo", nil, "cgroup2 is on "+m.point)
		}
		return f
	})
}

// Why a v2 controller is not usable.
const (
	reasonV2Bound  = "a v1 hierarchy holds it, and a controller serves only one"
	reasonV2Hidden = "not handed down to this cgroup; the root cgroup is out of sight"
	reasonNoV2     = "no cgroup2 is mounted here to look into"
)

// v2Controller reads cgroup.controllers twice: at the root it says what the
// kernel offers, in the caller's own cgroup what was handed down to it.
func v2Controller(_ *stage, name string) Finding {
	m, ok := cgroupPoint(ownMounts(), "")
	if !ok {
		return Finding{State: Unknown, Reason: reasonNoV2}
	}
	offered := m.point + "/cgroup.controllers"
	f := read(Yes, offered, text(offered))
	if own, _ := ownCgroupDir(""); own != m.point {
		f = f.saw("file", own+"/cgroup.controllers", nil, text(own+"/cgroup.controllers"))
	}
	if hasField(text(offered), name) {
		if knobs := knobsSeen(m.point, name); knobs != "" {
			f = f.saw("file", m.point, nil, "files seen: "+knobs)
		}
		return f
	}
	f.State, f.Reason = whyNoV2(name, m.point)
	if f.State == No {
		f.Fix = fixKernel // v2 is mounted: only another kernel brings the controller
	}
	return f
}

// whyNoV2 explains a controller that is missing at the top of what we see.
func whyNoV2(name, point string) (State, string) {
	v1name := name
	if name == "io" {
		v1name = "blkio"
	}
	line, built := parseProcCgroups(strings.NewReader(text("/proc/cgroups")))[v1name]
	switch {
	case hasOptionIn(text("/proc/cmdline"), "cgroup_disable=", v1name):
		return Off, reasonDisabled
	case built && line.hierarchy != "0":
		return Off, reasonV2Bound
	}
	// The root cgroup is the only one without a cgroup.type file.
	if _, err := os.Stat(point + "/cgroup.type"); err == nil {
		return Unknown, reasonV2Hidden
	}
	return No, ""
}

// hasOptionIn finds value in "prefix=a,b" on a kernel command line.
func hasOptionIn(cmdline, prefix, value string) bool {
	for _, word := range strings.Fields(cmdline) {
		if list, ok := strings.CutPrefix(word, prefix); ok && hasOption(list, value) {
			return true
		}
	}
	return false
}

// v2Dirs lists cgroups below the root, to look for knobs in: the root itself
// has almost none of them. A sample is enough.
func v2Dirs(point string) []string {
	var dirs []string
	if own, ok := ownCgroupDir(""); ok && own != point {
		dirs = append(dirs, own)
	}
	for _, depth := range []string{"/*/", "/*/*/"} {
		found, _ := filepath.Glob(point + depth)
		dirs = append(dirs, found[:min(len(found), 64)]...)
	}
	return dirs
}

// knobsSeen names the controller's files in the first cgroup that has any.
func knobsSeen(point, controller string) string {
	for _, dir := range v2Dirs(point) {
		files, _ := filepath.Glob(dir + "/" + controller + ".*")
		var names []string
		for _, f := range files {
			names = append(names, filepath.Base(f))
		}
		if len(names) > 0 {
			return sortedWords(names)
		}
	}
	return ""
}

// v2Knob looks for one file of a controller in any existing cgroup. When no
// cgroup has it, nobody may have switched the controller on: that is unknown,
// not no.
func v2Knob(s *stage, knob string) Finding {
	controller, _, _ := strings.Cut(knob, ".")
	f := v2Controller(s, controller)
	return f.then(func() Finding {
		m, _ := cgroupPoint(ownMounts(), "")
		for _, dir := range v2Dirs(m.point) {
			if _, err := os.Stat(dir + "/" + knob); err == nil {
				return read(Yes, filepath.Join(dir, knob), "exists")
			}
		}
		return read(Unknown, m.point, "no cgroup has "+knob).
			because("no cgroup with this controller switched on was found to look in")
	})
}

// v2CoreFile looks for a file that every cgroup but the root has.
func v2CoreFile(_ *stage, file string) Finding {
	look := func(dir string) Finding {
		_, err := os.Stat(dir + "/" + file)
		return asked("stat("+file+")", err, driver).with(dir)
	}
	f := inTempCgroup("", look)
	if f.State != Denied {
		return f
	}
	own, _ := ownCgroupDir("")
	if _, err := os.Stat(own + "/cgroup.type"); err == nil {
		return look(own)
	}
	return f
}

// pressure reads a /proc/pressure file; open works even where psi is off.
func pressure(*stage, string) Finding {
	_, err := os.ReadFile("/proc/pressure/cpu")
	f := asked("read(/proc/pressure/cpu)", err, verdict{
		absent: []unix.Errno{unix.ENOENT}, off: []unix.Errno{unix.EOPNOTSUPP},
	})
	if f.State == Off {
		return f.because("pressure accounting is off at boot")
	}
	return f
}

// delegation makes and removes a folder in the caller's own cgroup.
func delegation(*stage, string) Finding {
	return inTempCgroup("", func(dir string) Finding {
		return asked("mkdir("+dir+")", nil, verdict{}).with("controllers: " + text(dir+"/cgroup.controllers"))
	})
}
