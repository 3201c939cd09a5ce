package minicontainer

import (
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

// Container is the record of one container, as config.v2.json has it. It is a
// copy: what becomes of the container later is not in it.
type Container struct {
	ID      string
	Created time.Time
	Path    string   // the program
	Args    []string // its arguments
	State   State
	Config  Config
	Image   digest.Digest // id of the image that it was made from
	Name    string        // with a slash in front, as Docker has it
	Driver  string        // storage driver

	NetworkSettings NetworkSettings
	MountPoints     []MountPoint

	RestartCount           int
	HasBeenStartedBefore   bool
	HasBeenManuallyStopped bool // no restart policy but "always" after a reboot brings it back

	LogPath, HostnamePath, HostsPath, ResolvConfPath string

	HostConfig HostConfig `json:"-"` // in hostconfig.json
}

// State is what became of it.
type State struct {
	Running, Paused, Restarting, OOMKilled, RemovalInProgress, Dead bool

	Pid        int // on the host; 0 when it does not run
	ExitCode   int
	Error      string // why it did not start
	StartedAt  time.Time
	FinishedAt time.Time

	BootID string `json:",omitempty"` // pid, mounts and network belong to this boot
	Rootfs string `json:",omitempty"` // the mounted root while it runs
}

// Status is Docker's one word.
func (s *State) Status() string {
	switch {
	case s.RemovalInProgress:
		return "removing"
	case s.Dead:
		return "dead"
	case s.Restarting:
		return "restarting"
	case s.Paused:
		return "paused"
	case s.Running:
		return "running"
	case s.StartedAt.IsZero():
		return "created"
	}
	return "exited"
}

// Text is the status column of ps: "Up 2 minutes (Paused)".
func (s *State) Text(now time.Time) string {
	switch s.Status() {
	case "running":
		return "Up " + span(now.Sub(s.StartedAt))
	case "paused":
		return "Up " + span(now.Sub(s.StartedAt)) + " (Paused)"
	case "restarting":
		return fmt.Sprintf("Restarting (%d) %s", s.ExitCode, image.Ago(now.Sub(s.FinishedAt)))
	case "removing":
		return "Removal In Progress"
	case "dead":
		return "Dead"
	case "created":
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) %s", s.ExitCode, image.Ago(now.Sub(s.FinishedAt)))
}

// span is a time span without a direction.
func span(d time.Duration) string { return strings.TrimSuffix(image.Ago(d), " ago") }

// NetworkSettings are the container's networks, by name.
type NetworkSettings struct {
	Networks map[string]*EndpointSettings
	Ports    map[string][]PortBinding // as they are while it runs
}

// ShortID is the first 12 digits.
func ShortID(id string) string { return id[:min(12, len(id))] }

// PlainName is the name without the slash.
func (c *Container) PlainName() string {
	if len(c.Name) > 0 && c.Name[0] == '/' {
		return c.Name[1:]
	}
	return c.Name
}
