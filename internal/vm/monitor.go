package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// monitor is QEMU's own line, on which it takes commands about the machine as a
// whole: JSON objects, an answer for each (QEMU's docs/interop/qmp-spec.txt).
type monitor struct {
	line *os.File
	in   *json.Decoder
}

// monitorPatience bounds one answer, so that a QEMU that hangs does not hang us.
const monitorPatience = 30 * time.Second

// newMonitor reads the greeting and says that we are ready, as every talk must begin.
func newMonitor(line *os.File) (*monitor, error) {
	m := &monitor{line: line, in: json.NewDecoder(line)}
	_ = line.SetReadDeadline(time.Now().Add(monitorPatience))
	var greeting struct{ QMP json.RawMessage }
	if err := m.in.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("read the greeting of QEMU's monitor: %w", err)
	}
	return m, m.Do("qmp_capabilities", nil, nil)
}

// Do gives a command and reads its answer into result, which may be nil. Events that
// come in between are skipped.
func (m *monitor) Do(command string, arguments map[string]any, result any) error {
	_ = m.line.SetDeadline(time.Now().Add(monitorPatience))
	if arguments == nil {
		arguments = map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err == nil {
		_, err = m.line.Write(text)
	}
	for err == nil {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		err = m.in.Decode(&answer)
		switch {
		case err != nil:
		case answer.Error != nil:
			return fmt.Errorf("QEMU refuses %s: %s", command, answer.Error.Desc)
		case answer.Return != nil && result != nil:
			return json.Unmarshal(answer.Return, result)
		case answer.Return != nil:
			return nil
		}
	}
	return fmt.Errorf("ask QEMU's monitor for %s: %w", command, err)
}

// stateOf is the state that query-status and query-migrate answer with.
func (m *monitor) stateOf(query string) (string, error) {
	var answer struct{ Status string }
	err := m.Do(query, nil, &answer)
	return answer.Status, err
}
