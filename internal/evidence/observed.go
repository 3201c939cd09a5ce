package evidence

import "fmt"

// Observed is what a step saw: the same views read before and after its act.
type Observed struct {
	Before, After Facts
	// Params are the learner's own choices (--set NAME=VALUE), which a claim
	// may compare with what the kernel says.
	Params map[string]string
	// Blind lists facts that could not be read here for a reason that is not
	// the step's fault (a privilege or kernel feature is missing), by name.
	Blind map[string]*CannotTest
}

// CannotTest is the error of a view that cannot read here: not a failure, not
// a success. Reason says why, WayOut what the learner can do about it.
type CannotTest struct {
	Reason string
	WayOut string
}

func (e *CannotTest) Error() string {
	if e.WayOut == "" {
		return e.Reason
	}
	return fmt.Sprintf("%s; %s", e.Reason, e.WayOut)
}
