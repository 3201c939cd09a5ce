package walk

import "cutaway/internal/probe"

// Request tells a worker what to do. It is the first line that the worker
// reads; Replies follow.
type Request struct {
	Lab    string            `json:"lab"`
	Where  string            `json:"where"`
	RunDir string            `json:"run_dir"`
	Run    string            `json:"run"`     // id of the run's journal
	Step   bool              `json:"step"`    // ask before each act
	ByHand bool              `json:"by_hand"` // run the shell lines instead of Do
	Omit   string            `json:"omit"`    // leave this step's act out, to see its claims fail
	Params map[string]string `json:"params"`
	// Probes say what this kernel has, for the features that the lab needs.
	Probes map[probe.ID]probe.Result `json:"probes"`
}

// Reply answers an Ask, or feeds a shell in the lab.
type Reply struct {
	Do   string `json:"do"` // next, back, by-hand, shell, host-shell, quit, tty, resize
	Data []byte `json:"data,omitempty"`
	Rows uint16 `json:"rows,omitempty"`
	Cols uint16 `json:"cols,omitempty"`
}

// The words of a Reply.
const (
	Next      = "next"
	Back      = "back"
	HandIt    = "by-hand"
	ShellIn   = "shell"
	ShellHost = "host-shell"
	Quit      = "quit"
	TTY       = "tty"
	Resize    = "resize"
)
