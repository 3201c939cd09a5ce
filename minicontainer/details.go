package minicontainer

import (
	"cmp"
	"slices"
	"time"

	"cutaway/netdemo"
	"cutaway/unionfs/image"
)

// Details are what inspect shows, in the shape and order that Docker has.
type Details struct {
	ID              string `json:"Id"`
	Created         string // RFC 3339
	Path            string
	Args            []string
	State           DetailedState
	Image           string
	ResolvConfPath  string
	HostnamePath    string
	HostsPath       string
	LogPath         string
	Name            string
	RestartCount    int
	Driver          string
	Platform        string
	HostConfig      HostConfig
	GraphDriver     GraphDriver
	SizeRw          *int64 `json:",omitempty"`
	SizeRootFs      *int64 `json:",omitempty"`
	Mounts          []MountPoint
	Config          image.Config
	NetworkSettings DetailedNetwork
}

// DetailedState is the state with its word in front, and with times as they are
// written (RFC 3339), for templates.
type DetailedState struct {
	Status string
	State
	StartedAt, FinishedAt string
}

func detailed(s State) DetailedState {
	written := func(t time.Time) string { return t.Format(time.RFC3339Nano) }
	return DetailedState{s.Status(), s, written(s.StartedAt), written(s.FinishedAt)}
}

// GraphDriver is where the layers are.
type GraphDriver struct {
	Data map[string]string
	Name string
}

// DetailedNetwork repeats the first network's settings at the top.
type DetailedNetwork struct {
	Ports       map[string][]PortBinding
	EndpointID  string
	Gateway     string
	IPAddress   string
	IPPrefixLen int
	MacAddress  string
	SandboxID   string
	SandboxKey  string
	Networks    map[string]*EndpointSettings
}

// Details gathers all that is known of a container; its sizes only when wanted,
// for they have to be counted.
func (e *Engine) Details(ref string, size bool) (*Details, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	d := &Details{
		ID: c.ID, Created: c.Created.Format(time.RFC3339Nano), Path: c.Path, Args: c.Args, State: detailed(c.State),
		Image: c.Image.String(), ResolvConfPath: c.ResolvConfPath, HostnamePath: c.HostnamePath, HostsPath: c.HostsPath,
		LogPath: c.LogPath, Name: c.Name, RestartCount: c.RestartCount, Driver: c.Driver, Platform: "linux",
		HostConfig: c.HostConfig, Mounts: c.MountPoints, Config: c.Config,
	}
	if d.Args == nil {
		d.Args = []string{}
	}
	if d.Mounts == nil {
		d.Mounts = []MountPoint{}
	}
	d.HostConfig.Links = e.linksNow(c)
	d.HostConfig.spellOut()
	d.NetworkSettings = detailedNetwork(c)
	if d.GraphDriver, err = e.graphDriver(c); err != nil || !size {
		return d, err
	}
	written, whole, err := e.Sizes(c.ID)
	d.SizeRw, d.SizeRootFs = &written, &whole
	return d, err
}

// spellOut writes what is not set as what it means.
func (h *HostConfig) spellOut() {
	if h.MemorySwap == 0 {
		h.MemorySwap = 2 * h.Memory
	}
	if h.ShmSize == 0 {
		h.ShmSize = 64 << 20
	}
	h.IpcMode = cmp.Or(h.IpcMode, "private")
}

func detailedNetwork(c *Container) DetailedNetwork {
	n := DetailedNetwork{Ports: c.NetworkSettings.Ports, Networks: map[string]*EndpointSettings{}}
	for name, settings := range c.NetworkSettings.Networks {
		s := *settings
		if name != "bridge" { // the short id is a name there too
			s.Aliases = append(slices.Clone(s.Aliases), ShortID(c.ID))
		}
		n.Networks[name] = &s
	}
	if n.Ports == nil {
		n.Ports = map[string][]PortBinding{}
	}
	// Docker's oldest fields are about the network "bridge" only.
	if s := n.Networks["bridge"]; s != nil {
		n.EndpointID, n.Gateway, n.IPAddress, n.IPPrefixLen, n.MacAddress = s.EndpointID, s.Gateway, s.IPAddress, s.IPPrefixLen, s.MacAddress
	}
	if mode, err := c.Mode(); err == nil && c.State.Pid > 0 && mode.Kind != netdemo.ModeContainer {
		n.SandboxID, n.SandboxKey = c.ID, networkFile(c.State.Pid)
	}
	return n
}

func (e *Engine) graphDriver(c *Container) (GraphDriver, error) {
	g := GraphDriver{Name: c.Driver}
	root, err := e.Images.ContainerRoot(c.ID)
	if err != nil {
		return g, err
	}
	g.Data, err = e.driver.Metadata(root.MountID)
	return g, err
}

// Sizes are the bytes that the container wrote, and those of all its files.
func (e *Engine) Sizes(ref string) (written, whole int64, err error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return 0, 0, err
	}
	if written, err = e.Images.RootSize(c.ID); err != nil {
		return 0, 0, err
	}
	img, err := e.Images.Get(c.Image)
	if err != nil {
		return written, written, nil // its image was removed by force
	}
	size, err := e.Images.Size(img)
	return written, written + size, err
}
