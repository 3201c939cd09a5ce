package seccomp

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// callRules are all rules for one system call.
type callRules struct {
	always code   // of a rule without conditions
	when   []rule // those with conditions, in the order of the spec
	made   code   // of these, for all architectures
}

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
		always := answer(action) // one for all that the entry names
		for _, name := range call.Names {
			rules := all[name]
			if rules == nil {
				rules = &callRules{}
				all[name] = rules
			}
			switch {
			case action == fallback:
			case len(call.Args) > 0:
				rules.add(call.Args, action)
			case rules.always == nil:
				rules.always = always
			}
		}
	}
	return all, nil
}

// add takes an entry with conditions. Those on different arguments must all hold;
// when an entry names one argument twice, each condition is a rule of its own, as
// it has been in runc since the beginning and profiles rely on it.
func (r *callRules) add(args []specs.LinuxSeccompArg, action uint32) {
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

// code is what runs for this system call, which otherwise gets the default's; it
// always ends in a return.
func (r *callRules) code(otherwise code) code {
	switch {
	case r.always != nil:
		return r.always
	case len(r.when) == 0:
		return otherwise
	}
	if r.made == nil {
		for _, rule := range r.when {
			r.made = append(r.made, rule.code()...)
		}
		r.made = append(r.made, otherwise...)
	}
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
