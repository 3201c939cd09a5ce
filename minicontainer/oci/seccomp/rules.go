package seccomp

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// callRules are all rules for one system call.
type callRules struct {
	always *uint32 // the action of a rule without conditions
	when   []rule  // those with conditions, in the order of the spec
	made   code    // of these, for all architectures
}

// empty: the spec names the call only to say what the default says anyway.
func (r *callRules) empty() bool { return r.always == nil && len(r.when) == 0 }

// rule holds when all its conditions do.
type rule struct {
	conditions []specs.LinuxSeccompArg
	action     uint32
}

// gather sorts the spec's entries by system call. An entry without conditions
// beats those with some, as in libseccomp. Entries that do what the default
// does anyway leave no rule.
func gather(s *specs.LinuxSeccomp, fallback uint32) (map[string]*callRules, error) {
	all := make(map[string]*callRules, 512)
	for _, call := range s.Syscalls {
		action, err := value(call.Action, call.ErrnoRet)
		if err != nil {
			return nil, err
		}
		for _, name := range call.Names {
			if all[name] == nil {
				all[name] = &callRules{}
			}
			if action != fallback {
				all[name].add(call.Args, action)
			}
		}
	}
	return all, nil
}

// add takes one entry. Conditions on different arguments must all hold; when an
// entry names one argument twice, each condition is a rule of its own, as it has
// been in runc since the beginning and profiles rely on it.
func (r *callRules) add(args []specs.LinuxSeccompArg, action uint32) {
	if len(args) == 0 {
		if r.always == nil {
			r.always = &action
		}
		return
	}
	if !repeats(args) {
		r.when = append(r.when, rule{args, action})
		return
	}
	for i := range args {
		r.when = append(r.when, rule{args[i : i+1], action})
	}
}

func repeats(args []specs.LinuxSeccompArg) bool {
	seen := map[uint]bool{}
	for _, a := range args {
		if seen[a.Index] {
			return true
		}
		seen[a.Index] = true
	}
	return false
}

// code is what runs for this system call; it always ends in a return.
func (r *callRules) code(fallback uint32) code {
	if r.made != nil {
		return r.made
	}
	if r.always != nil {
		r.made.ret(*r.always)
		return r.made
	}
	for _, rule := range r.when {
		r.made = append(r.made, rule.code()...)
	}
	r.made.ret(fallback)
	return r.made
}

// check refuses what would be accepted and then not do what it says.
func check(s *specs.LinuxSeccomp) error {
	if s.DefaultAction == specs.ActNotify {
		return errors.New("seccomp: SCMP_ACT_NOTIFY cannot be used as default action")
	}
	if notifies(s) && s.ListenerPath == "" {
		return errors.New("seccomp: SCMP_ACT_NOTIFY is used, but listenerPath is not set")
	}
	for _, call := range s.Syscalls {
		if len(call.Names) == 0 {
			return errors.New("seccomp: a rule names no system call")
		}
		if err := checkCall(call); err != nil {
			return err
		}
	}
	return nil
}

func checkCall(call specs.LinuxSyscall) error {
	for _, name := range call.Names {
		// write is needed to hand over the listener itself.
		if call.Action == specs.ActNotify && name == "write" {
			return errors.New("seccomp: SCMP_ACT_NOTIFY cannot be used for the write syscall")
		}
	}
	for _, a := range call.Args {
		if a.Index > 5 {
			return fmt.Errorf("seccomp: %v: argument %d, but a system call has 0 to 5", call.Names, a.Index)
		}
		if _, ok := comparisons()[a.Op]; !ok {
			return fmt.Errorf("seccomp: string %s is not a valid operator for seccomp", a.Op)
		}
	}
	return nil
}

func notifies(s *specs.LinuxSeccomp) bool {
	for _, call := range s.Syscalls {
		if call.Action == specs.ActNotify {
			return true
		}
	}
	return false
}
