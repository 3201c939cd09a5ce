package launch

import (
	"os"
	"path"
	"strings"
	"sync"

	"cutaway/internal/randomid"
)

// ahead is the shim that was started before anybody asked, if one was.
var ahead struct {
	mu   sync.Mutex
	id   string
	line *os.File
}

func init() {
	if !willRun(os.Args, os.Getenv("CUTAWAY_HOST")) {
		return
	}
	id := randomid.New()
	// Without it the container starts as well, only later; and says what is wrong.
	if line, err := Shim(id); err == nil {
		ahead.id, ahead.line = id, line
	}
}

// willRun says whether a command line is likely to run a container here. The flags
// before the verb all have a value.
func willRun(args []string, daemon string) bool {
	if path.Base(args[0]) != "cutaway" || daemon != "" {
		return false
	}
	words := args[1:]
	for len(words) > 1 && strings.HasPrefix(words[0], "--") {
		name, _, joined := strings.Cut(words[0], "=")
		if name == "--host" || name == "--help" {
			return false
		}
		words = words[1:]
		if !joined {
			words = words[1:]
		}
	}
	if len(words) > 0 && words[0] == "container" {
		words = words[1:]
	}
	return len(words) > 0 && words[0] == "run"
}

// Ahead hands over the shim that was started ahead: the id of the container that it
// is for, and the line to it. There is one at most, and it is handed over once.
func Ahead() (id string, line *os.File, ok bool) {
	ahead.mu.Lock()
	defer ahead.mu.Unlock()
	id, line = ahead.id, ahead.line
	ahead.id, ahead.line = "", nil
	return id, line, line != nil
}
