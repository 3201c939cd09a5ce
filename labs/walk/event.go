package walk

import (
	"encoding/json"
	"fmt"

	"cutaway/internal/evidence"
)

// Event is one thing that happened. On the wire it is one JSON object with the
// kind in its field "event".
type Event interface{ kind() string }

// State of a lab or step.
type State string

const (
	Start    State = "start"
	Pass     State = "pass"
	Fail     State = "fail"
	Untested State = "untested"
)

// LabEvent opens (state start) and closes a lab.
type LabEvent struct {
	Lab     string   `json:"lab"`
	Name    string   `json:"name"`
	State   State    `json:"state"`
	Where   string   `json:"where,omitempty"`
	Kernel  string   `json:"kernel,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Seconds float64  `json:"seconds"`
	Residue []string `json:"residue"` // null when the lab has only begun
	// Others are changes of the machine that others made meanwhile.
	Others []string `json:"others,omitempty"`
}

// StepEvent opens and closes a step.
type StepEvent struct {
	Lab        string   `json:"lab"`
	Step       string   `json:"step"`
	State      State    `json:"state"`
	Number     int      `json:"number,omitempty"` // of Of, from 1
	Of         int      `json:"of,omitempty"`
	Reproduces []string `json:"reproduces,omitempty"`
	Extra      bool     `json:"extra,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Seconds    float64  `json:"seconds,omitempty"`
}

// ByHandEvent shows the shell lines of a step, with what each printed when
// they were run.
type ByHandEvent struct {
	Lab   string     `json:"lab"`
	Step  string     `json:"step"`
	Ran   bool       `json:"ran"`
	Lines []HandLine `json:"lines"`
	None  string     `json:"none,omitempty"` // why there is no shell equivalent
}

// HandLine is one shell line and what it printed.
type HandLine struct {
	Line   string `json:"line"`
	Output string `json:"output,omitempty"`
	Status int    `json:"status"`
}

// EvidenceEvent is a table of what was read from the kernel.
type EvidenceEvent struct {
	Lab     string   `json:"lab"`
	Step    string   `json:"step"`
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    []Row    `json:"rows"`
}

// Row is one fact with a value for each column.
type Row struct {
	Fact   string   `json:"fact"`
	From   string   `json:"from"`
	Values []string `json:"values"`
}

// PlotEvent is a measurement to draw.
type PlotEvent struct {
	Lab  string        `json:"lab"`
	Step string        `json:"step"`
	Plot evidence.Plot `json:"plot"`
}

// DrawingEvent is a picture of what there is after the act.
type DrawingEvent struct {
	Lab     string           `json:"lab"`
	Step    string           `json:"step"`
	Drawing evidence.Drawing `json:"drawing"`
}

// ExpectEvent is a claim with its outcome.
type ExpectEvent struct {
	Lab     string           `json:"lab"`
	Step    string           `json:"step"`
	Claim   string           `json:"claim"`
	Outcome evidence.Outcome `json:"outcome"`
	Want    string           `json:"want"`
	Got     string           `json:"got"`
	Reason  string           `json:"reason"`
	// Stays marks a claim about what the act must leave alone.
	Stays bool `json:"stays,omitempty"`
}

// SummaryEvent closes a run over several labs.
type SummaryEvent struct {
	Labs        Counts      `json:"labs"`
	Steps       Counts      `json:"steps"`
	Experiments Experiments `json:"experiments"`
	Residue     []string    `json:"residue"`
	Seconds     float64     `json:"seconds"`
}

// Counts of outcomes.
type Counts struct {
	Pass     int `json:"pass"`
	Fail     int `json:"fail"`
	Untested int `json:"untested"`
}

// Add counts one outcome.
func (c *Counts) Add(s State) {
	switch s {
	case Pass:
		c.Pass++
	case Fail:
		c.Fail++
	case Untested:
		c.Untested++
	}
}

// Experiments tells which of the known experiments were reproduced.
type Experiments struct {
	Reproduced int      `json:"reproduced"`
	Of         int      `json:"of"`
	Missing    []string `json:"missing"`
}

// AskEvent asks the front what to do next; the worker waits for a Reply. It is
// not part of `--json`, which never asks.
type AskEvent struct {
	Lab  string `json:"lab"`
	Step string `json:"step"`
	// At is "before" an act, or "end" when the last step is done and the lab
	// host still stands.
	At string `json:"at"`
	// Inside tells whether there is a process whose namespaces a shell could enter.
	Inside bool `json:"inside"`
	First  bool `json:"first"`
}

// TTYEvent carries what a shell in the lab prints. Done closes it.
type TTYEvent struct {
	Data  []byte `json:"data,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}

func (LabEvent) kind() string      { return "lab" }
func (StepEvent) kind() string     { return "step" }
func (ByHandEvent) kind() string   { return "byhand" }
func (EvidenceEvent) kind() string { return "evidence" }
func (PlotEvent) kind() string     { return "plot" }
func (DrawingEvent) kind() string  { return "drawing" }
func (ExpectEvent) kind() string   { return "expect" }
func (SummaryEvent) kind() string  { return "summary" }
func (AskEvent) kind() string      { return "ask" }
func (TTYEvent) kind() string      { return "tty" }

// Encode is the event as one JSON line, its kind in front.
func Encode(e Event) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode a %s event: %w", e.kind(), err)
	}
	head := fmt.Sprintf(`{"event":%q`, e.kind())
	if len(text) > len("{}") {
		head += ","
	}
	return append([]byte(head), text[1:]...), nil
}

// Decode reads one JSON line.
func Decode(text []byte) (Event, error) {
	var head struct{ Event string }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("event %q: %w", text, err)
	}
	switch head.Event {
	case "lab":
		return into[LabEvent](text)
	case "step":
		return into[StepEvent](text)
	case "byhand":
		return into[ByHandEvent](text)
	case "evidence":
		return into[EvidenceEvent](text)
	case "plot":
		return into[PlotEvent](text)
	case "drawing":
		return into[DrawingEvent](text)
	case "expect":
		return into[ExpectEvent](text)
	case "summary":
		return into[SummaryEvent](text)
	case "ask":
		return into[AskEvent](text)
	case "tty":
		return into[TTYEvent](text)
	}
	return nil, fmt.Errorf("unknown event %q", head.Event)
}

func into[E Event](text []byte) (Event, error) {
	var e E
	err := json.Unmarshal(text, &e)
	return e, err
}
