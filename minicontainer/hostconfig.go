package minicontainer

import (
	"time"

	"cutaway/unionfs/image"
	"cutaway/volumedemo"
)

// Config is what a container runs: the same shape as an image's configuration,
// which it starts from.
type Config = image.Config

// HostConfig is what a container may have of the host, in the words of
// Docker's API. Zero values are Docker's defaults.
type HostConfig struct {
	Binds       []string          // -v: SOURCE:DESTINATION[:OPTIONS]
	Mounts      []volumedemo.Spec `json:",omitempty"` // --mount
	Tmpfs       map[string]string `json:",omitempty"` // path to options
	VolumesFrom []string

	NetworkMode     string // "default", "bridge", "none", "host", "container:REF" or a network
	PortBindings    map[string][]PortBinding
	PublishAllPorts bool
	DNS             []string `json:"Dns"`
	DNSSearch       []string `json:"DnsSearch"`
	DNSOptions      []string `json:"DnsOptions"`
	ExtraHosts      []string // NAME:ADDRESS
	Links           []string // CONTAINER:ALIAS

	RestartPolicy   RestartPolicy
	AutoRemove      bool
	Init            *bool `json:",omitempty"`
	LogConfig       LogConfig
	ContainerIDFile string

	Privileged      bool
	CapAdd, CapDrop []string
	SecurityOpt     []string
	MaskedPaths     []string // nil: the usual ones
	ReadonlyPaths   []string // nil: the usual ones
	ReadonlyRootfs  bool
	GroupAdd        []string
	UsernsMode      string            // "", "host", or CONTAINER:HOST:SIZE for a user namespace
	IpcMode         string            // "private", "shareable", "host", "container:REF"
	PidMode         string            // "", "host", "container:REF"
	UTSMode         string            // "", "host"
	CgroupnsMode    string            // "", "host", "private"
	ShmSize         int64             // bytes; 0 is 64 MiB
	Sysctls         map[string]string `json:",omitempty"`
	Ulimits         []Ulimit
	OomScoreAdj     int
	Devices         []Device
	StorageOpt      map[string]string `json:",omitempty"`

	Resources
}

// Resources are the limits; `update` changes them on a running container.
type Resources struct {
	CgroupParent         string
	Memory               int64 // bytes
	MemoryReservation    int64
	MemorySwap           int64 // memory and swap together; -1 without limit; 0 twice Memory
	MemorySwappiness     *int64
	OomKillDisable       *bool
	NanoCPUs             int64 `json:"NanoCpus"` // 1e9 is one CPU
	CPUShares            int64 `json:"CpuShares"`
	CPUPeriod            int64 `json:"CpuPeriod"` // microseconds
	CPUQuota             int64 `json:"CpuQuota"`
	CpusetCpus           string
	CpusetMems           string
	PidsLimit            *int64 // nil or <= 0: none
	BlkioWeight          uint16
	BlkioDeviceReadBps   []ThrottleDevice
	BlkioDeviceWriteBps  []ThrottleDevice
	BlkioDeviceReadIOps  []ThrottleDevice
	BlkioDeviceWriteIOps []ThrottleDevice
	DeviceCgroupRules    []string
}

// PortBinding is where a container's port appears on the host; an empty
// HostPort is any free one.
type PortBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// RestartPolicy says what the shim does when the container ends.
type RestartPolicy struct {
	Name              string // "", "no", "on-failure", "always", "unless-stopped"
	MaximumRetryCount int    // on-failure; 0 without limit
}

// LogConfig is the log driver, "json-file" or "none", with its options max-size
// and max-file.
type LogConfig struct {
	Type   string
	Config map[string]string
}

// Ulimit is one resource limit (setrlimit(2)), such as nofile.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Device is a host's device shown in the container.
type Device struct {
	PathOnHost, PathInContainer, CgroupPermissions string
}

// ThrottleDevice limits the bytes, or requests, per second of one block device.
type ThrottleDevice struct {
	Path string
	Rate uint64
}

// EndpointSettings is a container's place on one network: what was asked for,
// and what came of it.
type EndpointSettings struct {
	Aliases     []string
	IPAddress   string // asked for at create; given while it runs
	MacAddress  string
	NetworkID   string
	EndpointID  string
	Gateway     string
	IPPrefixLen int
	// Asked keeps the address that was asked for, across restarts.
	Asked string `json:",omitempty"`
}

// Options are what Create makes a container from.
type Options struct {
	Name     string // "" for one of two random words
	Config          // over the image's; Config.Image names the image
	Host     HostConfig
	Networks map[string]EndpointSettings // more than HostConfig.NetworkMode's

	StartsNext bool `json:"-"` // this engine starts it right after: its shim may wait for it already
}

// stopTimeout is how long stop waits before it kills.
func stopTimeout(c *Config) time.Duration {
	if c.StopTimeout != nil {
		return time.Duration(*c.StopTimeout) * time.Second
	}
	return 10 * time.Second
}
