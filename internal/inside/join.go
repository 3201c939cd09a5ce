package inside

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Join names namespaces to enter. Kinds of a process are entered by one setns(2)
// with its pidfd (Linux 5.8 and up), all at once or none.
type Join struct {
	Pid   int
	Kinds []string // names as in /proc/PID/ns: mnt uts ipc pid net user cgroup time
	// Files has namespaces without a process: kind -> path of a namespace file,
	// as /run/netns/blue. The user namespace comes first, then mnt last, since it
	// changes what paths mean; all are opened before.
	Files map[string]string
}

var cloneFlag = map[string]int{
	"mnt": unix.CLONE_NEWNS, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC,
	"pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET, "user": unix.CLONE_NEWUSER,
	"cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
}

func (j *Join) validate() error {
	for _, kind := range slices.Concat(j.Kinds, slices.Collect(maps.Keys(j.Files))) {
		if cloneFlag[kind] == 0 {
			return fmt.Errorf("join namespace %q: no such kind; want mnt, uts, ipc, pid, net, user, cgroup or time", kind)
		}
	}
	return nil
}

// wantsPid: the pid namespace is joined later than all others, by the usher.
func (j *Join) wantsPid() bool {
	return slices.Contains(j.Kinds, "pid") || j.Files["pid"] != ""
}

// entry is one setns(2).
type entry struct {
	fd    uintptr
	flags uintptr
}

// doors are the opened namespaces of a Join.
type doors struct {
	files []*os.File // to be closed
	enter []entry    // what the usher's child calls setns with, in order
	pidNS *os.File   // whose pid namespace the usher joins; nil for none
	user  bool       // a user namespace is among enter
}

func (d *doors) close() {
	for _, f := range d.files {
		f.Close()
	}
}

// open finds the namespaces while the caller's own paths and pids still count.
func (j *Join) open() (*doors, error) {
	d := &doors{}
	err := d.addProcess(j)
	if err == nil {
		err = d.addFiles(j)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *doors) addProcess(j *Join) error {
	if len(j.Kinds) == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(j.Pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open(%d): %w", j.Pid, err)
	}
	pidfd := os.NewFile(uintptr(fd), "pidfd")
	d.files = append(d.files, pidfd)
	flags := 0
	for _, kind := range j.Kinds {
		if kind == "pid" {
			d.pidNS = pidfd
		} else if kind != "user" || !sameUser(fmt.Sprintf("/proc/%d/ns/user", j.Pid)) {
			flags |= cloneFlag[kind]
		}
	}
	if flags != 0 {
		d.enter = append(d.enter, entry{uintptr(fd), uintptr(flags)})
	}
	d.user = flags&unix.CLONE_NEWUSER != 0
	return nil
}

func (d *doors) addFiles(j *Join) error {
	for _, kind := range []string{"user", "uts", "ipc", "net", "cgroup", "time", "pid", "mnt"} {
		path, asked := j.Files[kind]
		if !asked || kind == "user" && sameUser(path) {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("the %s namespace to join: %w", kind, err)
		}
		d.files = append(d.files, f)
		if kind == "pid" {
			d.pidNS = f
			continue
		}
		d.enter = append(d.enter, entry{f.Fd(), uintptr(cloneFlag[kind])})
		d.user = d.user || kind == "user"
	}
	return nil
}

// sameUser finds the user namespaces to leave out, namely the caller's own:
// entering it anew would hand back dropped capabilities, so the kernel answers EINVAL.
func sameUser(path string) bool {
	own, err1 := os.Stat("/proc/self/ns/user")
	theirs, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(own, theirs)
}
