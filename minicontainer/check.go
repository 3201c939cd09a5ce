package minicontainer

import (
	"runtime"
	"strings"

	"cutaway/internal/size"
)

// checkHostConfig refuses what contradicts itself, before anything is made.
func checkHostConfig(h *HostConfig) error {
	switch h.RestartPolicy.Name {
	case "", "no", "always", "unless-stopped":
		if h.RestartPolicy.MaximumRetryCount != 0 {
			return invalidf("maximum retry count cannot be used with restart policy '%s'", h.RestartPolicy.Name)
		}
	case "on-failure":
		if h.RestartPolicy.MaximumRetryCount < 0 {
			return invalidf("maximum retry count cannot be negative")
		}
	default:
		return invalidf("invalid restart policy '%s'", h.RestartPolicy.Name)
	}
	if h.AutoRemove && h.RestartPolicy.Name != "" && h.RestartPolicy.Name != "no" {
		return invalidf("can't create 'AutoRemove' container with restart policy")
	}
	if err := checkLogs(h.LogConfig); err != nil {
		return err
	}
	return checkLimits(&h.Resources)
}

func checkLogs(c LogConfig) error {
	switch c.Type {
	case "", "json-file", "none":
	default:
		return invalidf("logger: no log driver named '%s' is registered: there are json-file and none", c.Type)
	}
	for name := range c.Config {
		if name != "max-size" && name != "max-file" {
			return invalidf("unknown log opt '%s': there are max-size and max-file", name)
		}
	}
	return nil
}

func checkLimits(r *Resources) error {
	const least = 6 << 20
	switch {
	case r.Memory != 0 && r.Memory < least:
		return invalidf("Minimum memory limit allowed is 6MB")
	case r.MemorySwap > 0 && r.Memory == 0:
		return invalidf("You should always set the Memory limit when using Memoryswap limit, see usage")
	case r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return invalidf("Minimum memoryswap limit should be larger than memory limit, see usage")
	case r.MemoryReservation > 0 && r.Memory > 0 && r.MemoryReservation > r.Memory:
		return invalidf("Minimum memory limit can not be less than memory reservation limit, see usage")
	case r.NanoCPUs > 0 && (r.CPUPeriod > 0 || r.CPUQuota > 0):
		return invalidf("Conflicting options: Nano CPUs and CPU Period/Quota cannot both be set")
	case r.NanoCPUs < 0:
		return invalidf("NanoCPUs cannot be negative")
	case r.NanoCPUs > int64(runtime.NumCPU())*1e9:
		return invalidf("Range of CPUs is from 0.01 to %d.00, as there are only %[1]d CPUs available", runtime.NumCPU())
	}
	return nil
}

// storageSize reads --storage-opt size=.
func storageSize(options map[string]string) (uint64, error) {
	for name, value := range options {
		if name != "size" {
			return 0, invalidf("Unknown storage option: %s", name)
		}
		n, err := size.Parse(value)
		return uint64(n), err
	}
	return 0, nil
}

// resolveModes replaces the names of other containers by their ids, so that a
// later rename changes nothing. Whose network is shared, its name is too.
func (e *Engine) resolveModes(c *Container) error {
	h := &c.HostConfig
	for _, mode := range []*string{&h.NetworkMode, &h.IpcMode, &h.PidMode} {
		ref, is := strings.CutPrefix(*mode, "container:")
		if !is {
			continue
		}
		id, err := e.resolve(ref)
		if err != nil {
			return err
		}
		*mode = "container:" + id
	}
	id, shares := strings.CutPrefix(h.NetworkMode, "container:")
	if !shares {
		return nil
	}
	other, err := e.Read(id)
	if err == nil {
		c.Config.Hostname, c.Config.Domainname = other.Config.Hostname, other.Config.Domainname
	}
	return err
}
