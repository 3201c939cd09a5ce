package probe

// Header says on what machine, and as whom, the probes were asked.
type Header struct {
	Kernel       string   `json:"kernel"`        // uname -s -r -v
	Release      string   `json:"release"`       // uname -r
	Machine      string   `json:"machine"`       // uname -m
	ConfigSource string   `json:"config_source"` // file, or "" when none was found
	Container    string   `json:"container"`     // what kind of container this is, "" when none was noticed
	Masked       []string `json:"masked"`        // paths below /proc and /sys that something is mounted over
	EUID         int      `json:"euid"`
	Caps         string   `json:"caps"`    // CapEff, hexadecimal
	Seccomp      string   `json:"seccomp"` // disabled, strict, filter
	Chroot       bool     `json:"chroot"`
	Modules      bool     `json:"modules"` // whether this kernel can load modules
}
