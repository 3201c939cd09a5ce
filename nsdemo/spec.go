package nsdemo

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Spec says which namespaces to make, and what to set up in them.
type Spec struct {
	Kinds []Kind

	// As is the user who makes the namespaces; nil means the caller. Root can
	// so show what an ordinary user can do.
	As *UserID
	// UIDMap and GIDMap say which outer ids the inner ones are. Empty with a user
	// namespace: the maker becomes root inside, all others are unmapped.
	UIDMap, GIDMap []IDMap
	// Setgroups leaves setgroups(2) usable inside. An ordinary user's gid map is
	// taken only with it denied (user_namespaces(7)).
	Setgroups bool

	Hostname string  // set inside; needs UTS
	Offsets  Offsets // of the clocks; need Time
	// Propagation of all mounts in the new mount namespace. Empty means private,
	// so that nothing mounted inside travels out; Unchanged is the bare clone(2).
	Propagation Propagation
	// Proc mounts a /proc of the new pid namespace; needs Mnt and PID. Without
	// it, ps shows the processes of the namespace that /proc was mounted in.
	Proc bool
	// CgroupDir is a cgroup folder to be in before the cgroup namespace is made,
	// whose root it so becomes.
	CgroupDir string
}

// UserID is a user and a group.
type UserID struct{ UID, GID int }

// IDMap is a line of /proc/PID/uid_map or gid_map: the ids Inside to
// Inside+Count-1 are Outside to Outside+Count-1 of the parent user namespace.
type IDMap struct{ Inside, Outside, Count int }

// Offsets shift the clocks of a time namespace against the initial one's.
type Offsets struct{ Monotonic, Boottime time.Duration }

// hostnameMax is __NEW_UTS_LEN in the kernel.
const hostnameMax = 64

// idMapLines is the kernel's limit since Linux 4.15.
const idMapLines = 340

// Has tells whether the spec asks for a kind.
func (s Spec) Has(k Kind) bool { return slices.Contains(s.Kinds, k) }

// Validate finds all that the kernel would refuse, and what could not have the
// wished effect, in words rather than an errno.
func (s Spec) Validate() error {
	return errors.Join(s.checkKinds(), s.checkNeeds(),
		checkMap("uid map", s.UIDMap), checkMap("gid map", s.GIDMap),
		s.Propagation.check(), s.Offsets.check(), s.checkHostname())
}

func (s Spec) checkKinds() error {
	var errs []error
	for i, k := range s.Kinds {
		if !k.Known() {
			errs = append(errs, fmt.Errorf("namespace kind %q: unknown; want one of %v", k, Kinds()))
		}
		if slices.Contains(s.Kinds[:i], k) {
			errs = append(errs, fmt.Errorf("namespace kind %q: named twice", k))
		}
	}
	return errors.Join(errs...)
}

// checkNeeds finds settings whose namespace is not asked for. They would change
// the host, or nothing.
func (s Spec) checkNeeds() error {
	var errs []error
	need := func(set bool, what string, kinds ...Kind) {
		for _, k := range kinds {
			if set && !s.Has(k) {
				errs = append(errs, fmt.Errorf("%s needs a new %s namespace (%s)", what, k, k.FlagName()))
			}
		}
	}
	need(len(s.UIDMap)+len(s.GIDMap) > 0, "an id map", User)
	need(s.Setgroups, "setgroups", User)
	need(s.Hostname != "", "a hostname", UTS)
	need(s.Offsets != Offsets{}, "a clock offset", Time)
	need(s.Propagation != "", "a propagation", Mnt)
	need(s.Proc, "a new /proc", Mnt, PID)
	need(s.CgroupDir != "", "a cgroup folder", Cgroup)
	if s.As != nil && s.As.UID != 0 && len(s.Kinds) > 0 {
		need(true, "an ordinary user", User)
	}
	if s.As != nil && s.CgroupDir != "" {
		errs = append(errs, errors.New("a cgroup folder and another user exclude each other: an ordinary user may not move processes"))
	}
	return errors.Join(errs...)
}

func checkMap(what string, lines []IDMap) error {
	if len(lines) > idMapLines {
		return fmt.Errorf("%s: %d lines; the kernel takes %d", what, len(lines), idMapLines)
	}
	for i, a := range lines {
		if a.Count < 1 || a.Inside < 0 || a.Outside < 0 {
			return fmt.Errorf("%s line %+v: want ids from 0 up and a count from 1 up", what, a)
		}
		for _, b := range lines[:i] {
			if overlap(a.Inside, b.Inside, a.Count, b.Count) || overlap(a.Outside, b.Outside, a.Count, b.Count) {
				return fmt.Errorf("%s lines %+v and %+v overlap", what, b, a)
			}
		}
	}
	return nil
}

func overlap(a, b, aCount, bCount int) bool { return a < b+bCount && b < a+aCount }

func (s Spec) checkHostname() error {
	if len(s.Hostname) > hostnameMax {
		return fmt.Errorf("hostname of %d bytes: the kernel takes %d", len(s.Hostname), hostnameMax)
	}
	return nil
}

// check bounds the offsets as the kernel does: no more than half of the greatest
// time of its clocks, about 146 years. A negative offset may not put a clock
// before 0, which only the kernel can tell (ERANGE).
func (o Offsets) check() error {
	const most = 146 * 365 * 24 * time.Hour
	for _, d := range []time.Duration{o.Monotonic, o.Boottime} {
		if d > most || d < -most {
			return fmt.Errorf("clock offset %v: the kernel takes up to about 146 years", d)
		}
	}
	return nil
}
