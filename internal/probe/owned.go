package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ownedPrefix begins the name of everything that a probe makes and that is not
// inside a namespace: cutaway-probe-<pid>-<start time of that pid>, so that a
// later run can tell a leftover from one that is in use.
const ownedPrefix = "cutaway-probe-"

// ownedName returns such a name for this process.
func ownedName() string {
	return fmt.Sprintf("%s%d-%s", ownedPrefix, os.Getpid(), startTime("self"))
}

// ownCgroups reads controller -> path of this process.
func ownCgroups() map[string]string {
	return parseSelfCgroup(strings.NewReader(text("/proc/self/cgroup")))
}

// ownCgroupDir returns the folder of this process's cgroup in the hierarchy of
// a v1 controller, or of v2 for "".
func ownCgroupDir(controller string) (string, bool) {
	m, ok := cgroupPoint(ownMounts(), controller)
	if !ok {
		return "", false
	}
	dir := cgroupDir(m, ownCgroups()[controller])
	if _, err := os.Stat(dir); err != nil {
		dir = m.point // our own folder is not below what is mounted here
	}
	return dir, true
}

// inTempCgroup makes a cgroup below the caller's, calls f with its folder and
// removes it. Nothing is moved into it and no controller is switched on.
func inTempCgroup(controller string, f func(dir string) Finding) Finding {
	parent, ok := ownCgroupDir(controller)
	if !ok {
		return Finding{State: Unknown, Reason: "no hierarchy of it is mounted here"}
	}
	dir := filepath.Join(parent, ownedName())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return asked("mkdir("+dir+")", err, verdict{})
	}
	defer unix.Rmdir(dir)
	return f(dir)
}

// startTime returns when a process started, in ticks since boot, "" for one
// that is gone. A zombie counts as gone: an orphan's may stay for long where
// pid 1 does not reap.
//
// In /proc/PID/stat it is the 22nd field. The second one is a name in
// parentheses that may hold anything, so counting begins behind the last one.
func startTime(pid string) string {
	stat := text("/proc/" + pid + "/stat")
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// sweepCgroups removes cgroups of probe processes that are gone: one that was
// killed between mkdir and rmdir leaves its own behind.
func sweepCgroups() {
	for _, m := range ownMounts() {
		if m.fstype != "cgroup" && m.fstype != "cgroup2" {
			continue
		}
		controller, own := strings.Split(m.super, ","), ownCgroups()
		dirs := []string{m.point}
		for _, c := range append(controller, "") {
			if path, ok := own[c]; ok {
				dirs = append(dirs, cgroupDir(m, path))
			}
		}
		for _, dir := range dirs {
			left, _ := filepath.Glob(dir + "/" + ownedPrefix + "*")
			for _, path := range left {
				if abandoned(filepath.Base(path)) {
					_ = unix.Rmdir(path)
				}
			}
		}
	}
}

// abandoned tells whether the process that something is named after is gone.
func abandoned(name string) bool {
	pid, start, ok := strings.Cut(strings.TrimPrefix(name, ownedPrefix), "-")
	if _, err := strconv.Atoi(pid); err != nil || !ok {
		return false // not a name that we give
	}
	start, _, _ = strings.Cut(start, "-")
	return startTime(pid) != start
}
