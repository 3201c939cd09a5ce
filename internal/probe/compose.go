package probe

import "strings"

// Reasons that need no probe.
const (
	reasonSleeping  = "a module on disk provides it; it is not loaded, and check does not load modules unless told to (--load)"
	reasonMayLoad   = "asking could make the kernel load a module, and no list of modules was found to look in: try --load"
	reasonPassive   = "not tried: only files were read"
	reasonConfig    = "judged by the config file alone"
	reasonNoSymbol  = "the config file does not mention it"
	reasonTry       = "no kernel option tells: it has to be tried"
	reasonLater     = "its option is built, but it came with a later release than the config's"
	reasonBoot      = "it is built; whether it is active is decided at boot, by lsm="
	reasonNotActive = "it is built, but not in the list of active ones"
	reasonDenied    = "refused to this caller, which says nothing about the kernel"
)

// withoutAsking settles a row by files, where the kernel may not or need not
// be asked.
func (r *runner) withoutAsking(p Probe) (Finding, bool) {
	if r.opt.Config != nil {
		return byConfig(p, r.opt.Config), true
	}
	sleeping, sure := r.modules.sleeping(p.Modules)
	switch {
	case r.opt.Load && !r.opt.Passive:
		return Finding{}, false
	case len(sleeping) > 0:
		f := Finding{State: Module, Reason: reasonSleeping, Fix: "modprobe -a " + strings.Join(sleeping, " ")}
		return f.saw("file", "modules.dep", nil, strings.Join(sleeping, " ")), true
	case r.opt.Passive:
		return byFile(p, r.config), true
	case !sure && !builtIn(r.config, p.Symbols) && !inFile(p.File):
		return Finding{State: Unknown, Reason: reasonMayLoad}, true
	}
	return Finding{}, false
}

// builtIn tells whether asking cannot load anything because it is all there,
// or because there is nothing to load.
func builtIn(c *Config, symbols []string) bool {
	state := judge(facts(c, symbols))
	return state == Yes || state == No
}

// byConfig judges another kernel.
func byConfig(p Probe, c *Config) Finding {
	list := facts(c, p.Symbols)
	state := judge(list)
	f := Finding{State: state, Reason: reasonConfig}
	switch {
	case len(list) == 0:
		f.Reason = reasonTry
	case state == Unknown:
		f.Reason = reasonNoSymbol
	case Usable(state) && p.built:
		f.State, f.Reason = Unknown, reasonBoot
	case Usable(state) && p.Since != "" && c.Version != "" && compareRelease(c.Version, p.Since) < 0:
		// A distribution may have brought it back to an older release.
		f.State, f.Reason = Unknown, reasonLater
	}
	for _, fact := range list {
		f = f.saw("config", c.Source, nil, "CONFIG_"+fact.Symbol+"="+fact.Value)
	}
	return f
}

// byFile judges this kernel without asking it: a file can prove presence, a
// config can prove absence, and neither proves that it works.
func byFile(p Probe, c *Config) Finding {
	if inFile(p.File) {
		return read(Yes, p.File, "present")
	}
	if c != nil && judge(facts(c, p.Symbols)) == No {
		return byConfig(p, c)
	}
	return Finding{State: Unknown, Reason: reasonPassive}
}

// inFile checks Probe.File: a path that exists, or "path word" for a field.
func inFile(spec string) bool {
	if spec == "" {
		return false
	}
	path, word, field := strings.Cut(spec, " ")
	if !field {
		return exists(path)
	}
	return hasField(text(path), word)
}

// compose joins the table row, what was found, and what the config says.
func compose(p Probe, f Finding, config []ConfigFact) Result {
	r := Result{
		ID: p.ID, Group: p.Group, Title: p.Title, State: f.State, Evidence: f.Evidence,
		Effect: p.Effect, Fix: p.Fix, Since: p.Since, Reason: f.Reason, Config: config,
	}
	if r.State == No && p.built && Usable(judge(config)) {
		r.State, r.Reason = Off, reasonNotActive
	}
	if r.State == Denied {
		if p.Privilege != AnyUser {
			r.Fix = fixRoot
		}
		if r.Reason == "" {
			r.Reason = reasonDenied
		}
	}
	if r.State == Limit {
		r.Fix = fixLimit
	}
	if !conclusive(r.State) && inFile(p.File) {
		// The refusal is about the caller; this much is known about the kernel.
		r.Evidence = append(r.Evidence, Evidence{Method: "file", Call: p.File, Detail: "present"})
	}
	if f.Fix != "" {
		r.Fix = f.Fix
	}
	if r.Evidence == nil {
		r.Evidence = []Evidence{}
	}
	return r
}
