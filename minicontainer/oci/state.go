package oci

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// State is what is kept on disk about a container. The status is not in it: it
// is read from the kernel each time, so no crash can make it wrong.
type State struct {
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Owner       int               `json:"owner"` // uid of who created it
	Annotations map[string]string `json:"annotations,omitempty"`

	Pid       int    `json:"pid"`
	StartTime uint64 `json:"start_time"` // of the pid, in clock ticks since boot: guards against reuse
	BootID    string `json:"boot_id"`    // pids of another boot are strangers
	Cgroup    string `json:"cgroup"`     // linux.cgroupsPath, or the id
	Shares    bool   `json:"shares"`     // somebody was in the cgroup before
	Made      bool   `json:"made"`       // create came to its end
}

// Status is one of the specification's words, or "paused", which runc added.
type Status string

// The statuses, as the runtime specification defines them.
const (
	Creating Status = "creating" // the environment is being made
	Created  Status = "created"  // made; the user's program has not run
	Running  Status = "running"  // the user's program runs
	Stopped  Status = "stopped"  // the process has ended
	Paused   Status = "paused"   // frozen by the freezer cgroup
)

// hookState is what a hook reads from its standard input.
func (s *State) hookState(status specs.ContainerState) specs.State {
	return specs.State{Version: specs.Version, ID: s.ID, Status: status, Pid: s.Pid, Bundle: s.Bundle, Annotations: s.Annotations}
}
