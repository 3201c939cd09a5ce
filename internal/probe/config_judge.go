package probe

import "strings"

// facts returns what the config says about the row's symbols. Of a row of
// alternatives, the one that is on is shown, else the first.
func facts(c *Config, symbols []string) []ConfigFact {
	if c == nil {
		return nil
	}
	var list []ConfigFact
	for _, s := range symbols {
		names := strings.Split(s, "|")
		pick := names[0]
		for _, n := range names {
			if c.On(n) {
				pick = n
				break
			}
		}
		list = append(list, ConfigFact{Symbol: pick, Value: c.Value(pick)})
	}
	return list
}

// judge turns config facts into the state that they promise: yes, module, no,
// or unknown where a symbol is not mentioned at all.
func judge(list []ConfigFact) State {
	state := Yes
	if len(list) == 0 {
		return Unknown
	}
	for _, f := range list {
		switch f.Value {
		case "y":
		case "m":
			if state == Yes {
				state = Module
			}
		case "":
			state = Unknown
		default:
			return No
		}
	}
	return state
}

// The sentences of the two-sided view.
const (
	configYesKernelNo  = "the config says it is built, the running kernel says it is not there: is this file from another build?"
	configYesKernelOff = "the config says it is built, the kernel says it is not active: compiled in is not switched on"
	configNoKernelYes  = "the config says it is not built, and yet the kernel does it: the option was renamed, or another part brings it"
)

// Disagreement compares the two sides of a result and returns the sentence to
// print under it, or "" where config and kernel agree or one of them is silent.
func Disagreement(r Result) string {
	promised := judge(r.Config)
	switch {
	case Usable(promised) && r.State == No:
		return configYesKernelNo
	case Usable(promised) && r.State == Off:
		return configYesKernelOff
	case promised == No && r.State == Yes:
		return configNoKernelYes
	}
	return ""
}
