package probe

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// A scene is what Run tells a child about the question.
type scene struct {
	Scratch string `json:"scratch"` // empty folder below the state folder, "" when it could not be made
	State   string `json:"state"`   // state folder
	Userns  bool   `json:"userns"`  // the child is in a user namespace of its own
	Filter  bool   `json:"filter"`  // a seccomp filter is on the caller
}

// A stage is a prepared child.
type stage struct {
	scene
	work   string  // tmpfs that only this child sees; "" in places that need none
	dirs   int     // folders made in work so far
	broken Finding // why this place cannot be worked in, for all its rows
}

// prepare makes the child's own mount namespace safe to work in, before any
// probe runs. Everything below is seen by this child alone and goes away with
// it, even by SIGKILL.
func prepare(p place, sc scene) *stage {
	s := &stage{scene: sc}
	if p != mounts && p != network && p != nested {
		return s
	}
	// Most distributions share / between namespaces: without this, our tmpfs
	// would appear on the real machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		if p != network { // its probes do well without a mount
			s.broken = asked(`mount("", "/", MS_REC|MS_PRIVATE)`, err, verdict{}).because(reasonNotPrivate)
		}
		return s
	}
	if p == network {
		// iptables leaves its lock file in /run.
		_ = unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
		return s
	}
	s.work, s.broken = workFolder()
	return s
}

const reasonNotPrivate = "mounts cannot be kept private here: / is not the root of a mount, as in a chroot"

// workFolder covers a folder that every distribution has with a tmpfs.
func workFolder() (string, Finding) {
	for _, dir := range []string{"/mnt", "/media", "/srv", "/opt"} {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return "", asked("mount(tmpfs on "+dir+")", err, driver)
		}
		return dir, Finding{}
	}
	return "", Finding{State: Unknown, Reason: "there is no /mnt, /media, /srv or /opt to cover with a tmpfs"}
}

// fresh returns a new empty folder on the child's own tmpfs.
func (s *stage) fresh() string {
	s.dirs++
	dir := s.work + "/" + strconv.Itoa(s.dirs)
	_ = os.Mkdir(dir, 0o755)
	return dir
}

// onThread runs f in an operating system thread that dies afterwards, so that
// f may unshare whatever it likes: a goroutine that ends while locked takes
// its thread along.
func onThread(f func() Finding) Finding {
	answer := make(chan Finding)
	go func() {
		runtime.LockOSThread()
		answer <- f()
	}()
	return <-answer
}
