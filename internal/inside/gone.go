package inside

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ErrGone is what errors.Is finds when a helper no longer answers.
var ErrGone = errors.New("the helper is gone")

// Gone tells how a helper went.
type Gone struct {
	Pid int
	// State has the signal or exit code. It is nil while the process lives on
	// without its socket, as after a handler executed another program.
	State *os.ProcessState
	said  string
}

// Error names the signal or exit code, and the last words on stderr.
func (g *Gone) Error() string {
	if g.State == nil {
		return fmt.Sprintf("helper %d has hung up and lives on (did it execute another program?)", g.Pid)
	}
	return fmt.Sprintf("helper %d is gone: %v%s", g.Pid, g.State, g.said)
}

// Is makes errors.Is(err, ErrGone) hold.
func (g *Gone) Is(target error) bool { return target == ErrGone }

// gone waits for the exit state of a helper that is on its way out. The socket
// closes a little earlier than the process can be reaped; for pid 1 of a pid
// namespace that takes until all others in it are dead.
func (h *Helper) gone() *Gone {
	g := &Gone{Pid: h.Pid()}
	if h.endsWithin(0) || isExiting(g.Pid) && h.endsWithin(killTime) {
		g.State, g.said = h.state, h.stderr.quote()
	}
	return g
}

// isExiting reads the flags word (field 9) of /proc/PID/stat: PF_EXITING is set
// before the kernel closes a dying process's files. A process that is not there
// has been reaped a moment ago.
func isExiting(pid int) bool {
	const pfExiting = 0x4
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // a name may have blanks
	flags, _ := strconv.ParseUint(string(fields[6]), 10, 64)
	return flags&pfExiting != 0
}

// lastWords is how long to wait for what a dead helper wrote to stderr.
const lastWords = 100 * time.Millisecond
