package probe

// A Requirement is something that can be had in more than one way, as
// "legacy iptables or nft". Any one of the lists will do; of a list, all rows
// are wanted.
type Requirement struct {
	Name  string `json:"name"`
	AnyOf [][]ID `json:"any_of"`
}

// A Profile says what somebody needs who wants to do one kind of thing.
type Profile struct {
	Name     string // for --for
	Title    string
	Required []Requirement
	Optional []ID // worth a line, never a failure
}

// A Verdict is a requirement, judged.
type Verdict struct {
	Requirement
	State State `json:"state"` // of the best way
	By    []ID  `json:"by"`    // the rows of that way
}

// Each makes one requirement of every id.
func Each(ids ...ID) []Requirement {
	var list []Requirement
	for _, id := range ids {
		list = append(list, Requirement{Name: string(id), AnyOf: [][]ID{{id}}})
	}
	return list
}

// rank orders states from the worst to the best for a caller who needs the
// feature. What could not be told ranks above what is not there: it may yet work.
func rank(s State) int {
	switch s {
	case Yes:
		return 4
	case Module:
		return 3
	case Denied:
		return 2
	case Unknown:
		return 1
	}
	return 0
}

// Judge says for each requirement whether it is met, and how.
// Rows without a result count as unknown.
func Judge(results []Result, list []Requirement) []Verdict {
	states := map[ID]State{}
	for _, r := range results {
		states[r.ID] = r.State
	}
	var verdicts []Verdict
	for _, want := range list {
		v := Verdict{Requirement: want, State: No}
		for _, way := range want.AnyOf {
			state := Yes
			for _, id := range way {
				if s, ok := states[id]; !ok {
					state = worse(state, Unknown)
				} else {
					state = worse(state, s)
				}
			}
			if v.By == nil || rank(state) > rank(v.State) {
				v.State, v.By = state, way
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func worse(a, b State) State {
	if rank(b) < rank(a) {
		return b
	}
	return a
}

// Exit codes of check. 2 is for wrong usage.
const (
	ExitMet          = 0 // everything that is required can be used
	ExitMissing      = 1 // something required is not there, off, or used up
	ExitInconclusive = 3 // nothing required is missing, but something could not be told: ask as root
)

// ExitCode returns the exit code for judged requirements.
func ExitCode(verdicts []Verdict) int {
	code := ExitMet
	for _, v := range verdicts {
		switch {
		case Usable(v.State):
		case conclusive(v.State):
			return ExitMissing
		default:
			code = ExitInconclusive
		}
	}
	return code
}
