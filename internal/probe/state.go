package probe

// A State is what is known about one kernel feature. A bool would merge
// answers that ask for different acts: a missing driver needs another kernel,
// an unloaded one needs modprobe, a refused one needs root.
type State string

const (
	Yes     State = "yes"     // it was tried, or read, and it works
	Module  State = "module"  // a module on disk provides it; it is not loaded
	Off     State = "off"     // built, but switched off by sysctl, boot argument or LSM list
	Denied  State = "denied"  // EPERM or EACCES for this caller: says nothing about the kernel
	Limit   State = "limit"   // a count ran out (ENOSPC from clone is a namespace limit, not a disk)
	No      State = "no"      // the kernel answered that it does not have it
	Unknown State = "unknown" // could not tell; Reason says why
)

// Usable tells whether a lab may count on the feature: it works now, or
// will as soon as the kernel loads the module it has on disk.
func Usable(s State) bool { return s == Yes || s == Module }

// conclusive tells whether asking again with more privilege would be pointless.
func conclusive(s State) bool { return s != Denied && s != Unknown }

// Evidence is one thing that was looked at.
type Evidence struct {
	Method string `json:"method"`           // live (the kernel was asked to do it), file, or config
	Call   string `json:"call"`             // the system call with its arguments, or the file
	Errno  string `json:"errno,omitempty"`  // name of what the call answered, "" for success
	Detail string `json:"detail,omitempty"` // what was read, or the kernel's own message
	Via    string `json:"via,omitempty"`    // "userns" when the caller had to enter a user namespace first
}

// A ConfigFact is one line of a kernel config. Value is y, m, n for
// "is not set", a string or number, and "" when the symbol is not mentioned:
// options get renamed and merged away, so "" is not evidence of absence.
type ConfigFact struct {
	Symbol string `json:"symbol"` // without CONFIG_
	Value  string `json:"value"`
}

// Result is the answer to one probe.
type Result struct {
	ID       ID           `json:"id"`
	Group    string       `json:"group"`
	Title    string       `json:"title"`
	State    State        `json:"state"`
	Evidence []Evidence   `json:"evidence"`
	Effect   string       `json:"effect"`           // what does not work without it
	Fix      string       `json:"fix"`              // one line to paste, comment after #
	Since    string       `json:"since,omitempty"`  // first kernel release that has it
	Reason   string       `json:"reason,omitempty"` // why the state is not yes
	Config   []ConfigFact `json:"config,omitempty"` // what the config file says about the same thing
	Seconds  float64      `json:"seconds"`
}
