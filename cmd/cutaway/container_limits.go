package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"cutaway/internal/size"
	"cutaway/minicontainer"
	"cutaway/netdemo"
)

func (f *runFlags) limits(o *minicontainer.Options) (err error) {
	r := &o.Host.Resources
	r.CPUShares, r.CPUPeriod, r.CPUQuota, r.BlkioWeight = f.cpuShares, f.cpuPeriod, f.cpuQuota, f.blkioWeight
	r.CpusetCpus, r.CpusetMems = f.cpusetCpus, f.cpusetMems
	r.CgroupParent = f.cgroupParent
	if f.memorySwappiness >= 0 {
		r.MemorySwappiness = &f.memorySwappiness
	}
	if f.pidsLimit != 0 {
		r.PidsLimit = &f.pidsLimit
	}
	if f.oomKillDisable {
		r.OomKillDisable = &f.oomKillDisable
	}
	for _, limit := range []struct {
		text string
		to   *int64
	}{{f.memory, &r.Memory}, {f.memoryReservation, &r.MemoryReservation}, {f.memorySwap, &r.MemorySwap}, {f.shmSize, &o.Host.ShmSize}} {
		if *limit.to, err = parseBytes(limit.text); err != nil {
			return err
		}
	}
	if r.NanoCPUs, err = nanoCPUs(f.cpus); err != nil {
		return err
	}
	o.Host.Ulimits, err = parseUlimits(f.ulimit)
	return err
}

// parseBytes reads a size; "" is 0, and -1 is itself: without limit.
func parseBytes(text string) (int64, error) {
	if text == "" || text == "-1" {
		n, _ := strconv.ParseInt("0"+strings.TrimPrefix(text, "-"), 10, 64)
		return -n, nil
	}
	return size.Parse(text)
}

// nanoCPUs reads "1.5".
func nanoCPUs(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || math.IsNaN(n) || n > 1<<20 {
		return 0, fmt.Errorf("failed to parse %s as a rational number", text)
	}
	return int64(n * 1e9), nil
}

// parseUlimits reads NAME=SOFT[:HARD].
func parseUlimits(list []string) ([]minicontainer.Ulimit, error) {
	var all []minicontainer.Ulimit
	for _, text := range list {
		name, values, found := strings.Cut(text, "=")
		soft, hard, two := strings.Cut(values, ":")
		u := minicontainer.Ulimit{Name: name}
		var err error
		if u.Soft, err = strconv.ParseInt(soft, 10, 64); err != nil || !found {
			return nil, fmt.Errorf("invalid ulimit argument: %s", text)
		}
		u.Hard = u.Soft
		if two {
			if u.Hard, err = strconv.ParseInt(hard, 10, 64); err != nil {
				return nil, fmt.Errorf("invalid ulimit argument: %s", text)
			}
		}
		if u.Hard != -1 && (u.Soft > u.Hard || u.Soft == -1) {
			return nil, fmt.Errorf("ulimit soft limit must be less than or equal to hard limit: %d > %d", u.Soft, u.Hard)
		}
		all = append(all, u)
	}
	return all, nil
}

// ports reads --publish and --expose.
func (f *runFlags) ports(o *minicontainer.Options) error {
	o.Host.PublishAllPorts = f.publishAll
	exposed := map[string]struct{}{}
	for _, text := range f.publish {
		specs, err := netdemo.ParsePorts(text)
		if err != nil {
			return err
		}
		for _, s := range specs {
			key := fmt.Sprintf("%d/%s", s.ContainerPort, s.Proto)
			b := minicontainer.PortBinding{}
			if s.HostIP.IsValid() {
				b.HostIP = s.HostIP.String()
			}
			if s.HostPort != 0 {
				b.HostPort = s.HostPorts()
			}
			if o.Host.PortBindings == nil {
				o.Host.PortBindings = map[string][]minicontainer.PortBinding{}
			}
			o.Host.PortBindings[key] = append(o.Host.PortBindings[key], b)
			exposed[key] = struct{}{}
		}
	}
	for _, text := range f.expose {
		specs, err := netdemo.ParsePorts(text)
		if err != nil {
			return fmt.Errorf("invalid range format for --expose: %s, error: %w", text, err)
		}
		for _, s := range specs {
			exposed[fmt.Sprintf("%d/%s", s.ContainerPort, s.Proto)] = struct{}{}
		}
	}
	o.Config.ExposedPorts = exposed
	return nil
}

// devices reads --device and the limits of block devices.
func (f *runFlags) devices(o *minicontainer.Options) error {
	h := &o.Host
	for _, text := range f.device {
		d, err := parseDevice(text)
		if err != nil {
			return err
		}
		h.Devices = append(h.Devices, d)
	}
	h.DeviceCgroupRules = f.deviceRule
	for _, t := range []struct {
		list  []string
		bytes bool
		to    *[]minicontainer.ThrottleDevice
	}{{f.readBps, true, &h.BlkioDeviceReadBps}, {f.writeBps, true, &h.BlkioDeviceWriteBps},
		{f.readIOps, false, &h.BlkioDeviceReadIOps}, {f.writeIOps, false, &h.BlkioDeviceWriteIOps}} {
		for _, text := range t.list {
			d, err := parseThrottle(text, t.bytes)
			if err != nil {
				return err
			}
			*t.to = append(*t.to, d)
		}
	}
	return nil
}

// parseDevice reads HOST[:CONTAINER][:rwm].
func parseDevice(text string) (minicontainer.Device, error) {
	parts := strings.Split(text, ":")
	d := minicontainer.Device{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	access := func(s string) bool { return s != "" && strings.Trim(s, "rwm") == "" }
	switch {
	case len(parts) > 3 || parts[0] == "":
		return d, fmt.Errorf("invalid device specification: %s", text)
	case len(parts) == 3:
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 2 && access(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	if !access(d.CgroupPermissions) {
		return d, fmt.Errorf("invalid device mode: %s", d.CgroupPermissions)
	}
	return d, nil
}

// parseThrottle reads PATH:RATE, a rate of bytes with a unit.
func parseThrottle(text string, bytes bool) (d minicontainer.ThrottleDevice, err error) {
	path, rate, found := strings.Cut(text, ":")
	if !found || !strings.HasPrefix(path, "/dev/") {
		return d, fmt.Errorf("bad format: %s: want /dev/PATH:RATE", text)
	}
	d.Path = path
	if bytes {
		n, err := size.Parse(rate)
		d.Rate = uint64(n)
		return d, err
	}
	d.Rate, err = strconv.ParseUint(rate, 10, 64)
	return d, err
}
