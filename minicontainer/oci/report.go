package oci

import (
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Report is the answer of the state command: the specification's fields, and
// those that runc added.
type Report struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"` // 0 when stopped
	Status      Status            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"` // uid
}

// Report asks for the status and puts it beside what is on disk.
func (c *Container) Report() Report {
	r := Report{Version: specs.Version, ID: c.ID, Pid: c.Pid, Status: c.Status(), Bundle: c.Bundle, Rootfs: c.Rootfs,
		Created: c.Created, Annotations: c.Annotations, Owner: strconv.Itoa(c.Owner)}
	if r.Status == Stopped {
		r.Pid = 0
	}
	return r
}
