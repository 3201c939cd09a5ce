package probe

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"strings"
)

// childName is argv[0] of every process that this package starts.
const childName = "cutaway-probe"

// The two pipes between Run and a serving child.
const (
	requestFD = 3
	answerFD  = 4
)

// A request asks a child for one row.
type request struct {
	Live  string `json:"live"` // "function" or "function:argument"
	Scene scene  `json:"scene"`
}

// init pins the main goroutine to the main thread, in probe children only:
// /proc/self/timens_offsets belongs to the main thread, and a time namespace
// can be unshared only there. Everywhere else the scheduler stays free.
func init() {
	if os.Args[0] == childName {
		runtime.LockOSThread()
	}
}

// Main serves probe requests and never returns when this process was started
// as a probe child; otherwise it returns at once.
// Call it first in main and in TestMain.
func Main() {
	if os.Args[0] != childName {
		return
	}
	if len(os.Args) >= 3 && os.Args[1] == "serve" {
		serve(place(os.Args[2]), liveFunctions())
	} else if len(os.Args) >= 2 {
		act(os.Args[1])
	}
	os.Exit(0)
}

// serve answers requests, one JSON line each, until the pipe closes.
// A probe that crashes takes the process with it; Run starts another one for
// the rows that are left.
func serve(p place, functions map[string]liveFunc) {
	in := bufio.NewScanner(os.NewFile(requestFD, "requests"))
	out := json.NewEncoder(os.NewFile(answerFD, "answers"))
	var stage *stage
	for in.Scan() {
		var q request
		if json.Unmarshal(in.Bytes(), &q) != nil {
			return
		}
		if stage == nil {
			stage = prepare(p, q.Scene)
		}
		if out.Encode(stage.perform(q, functions)) != nil {
			return
		}
	}
}

// perform runs one live function.
func (s *stage) perform(q request, functions map[string]liveFunc) Finding {
	name, arg, _ := strings.Cut(q.Live, ":")
	f, ok := functions[name]
	if !ok {
		return Finding{State: Unknown, Reason: "no such live probe: " + name}
	}
	if s.broken.State != "" {
		return s.broken
	}
	s.scene = q.Scene
	return f(s, arg)
}
