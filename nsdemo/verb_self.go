package nsdemo

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/moby/sys/capability"
)

var (
	askIDs    = verb("ns.ids", func(context.Context, none) (map[Kind]uint64, error) { return ownIDs() })
	askClocks = verb("ns.clocks", func(context.Context, none) (Clocks, error) { return ReadClocks() })
	askUptime = verb("ns.uptime", func(context.Context, none) (time.Duration, error) { return Uptime("/proc") })
	askUser   = verb("ns.user", func(context.Context, none) (UserID, error) { return UserID{os.Getuid(), os.Getgid()}, nil })
	askStatus = verb("ns.status", func(context.Context, none) (Status, error) { return ownStatus() })
	askCgroup = verb("ns.cgroup", func(context.Context, none) ([]CgroupPath, error) { return ownCgroup() })
)

// IDs reads the links of /proc/self/ns inside.
func (p *Process) IDs(ctx context.Context) (map[Kind]uint64, error) {
	return askIDs(ctx, p, none{})
}

// Clocks asks clock_gettime(2) inside.
func (p *Process) Clocks(ctx context.Context) (Clocks, error) { return askClocks(ctx, p, none{}) }

// Uptime reads /proc/uptime inside.
func (p *Process) Uptime(ctx context.Context) (time.Duration, error) {
	return askUptime(ctx, p, none{})
}

// User asks getuid(2) and getgid(2) inside.
func (p *Process) User(ctx context.Context) (UserID, error) { return askUser(ctx, p, none{}) }

// Status reads /proc/self/status inside: ids as they are called there.
func (p *Process) Status(ctx context.Context) (Status, error) { return askStatus(ctx, p, none{}) }

// CgroupPaths reads /proc/self/cgroup inside: paths from the root of the cgroup
// namespace.
func (p *Process) CgroupPaths(ctx context.Context) ([]CgroupPath, error) {
	return askCgroup(ctx, p, none{})
}

func ownIDs() (map[Kind]uint64, error) {
	pid, err := ownPidIn("/proc")
	if err != nil {
		return nil, err
	}
	return IDs("/proc", pid)
}

func ownStatus() (Status, error) {
	pid, err := ownPidIn("/proc")
	if err != nil {
		return Status{}, err
	}
	return ReadStatus("/proc", pid)
}

func ownCgroup() ([]CgroupPath, error) {
	pid, err := ownPidIn("/proc")
	if err != nil {
		return nil, err
	}
	return CgroupPaths("/proc", pid)
}

// CapabilityNames gives the names of a mask of capabilities, such as
// Status.CapEff, as capabilities(7) writes them.
func CapabilityNames(mask uint64) []string {
	var names []string
	for _, c := range capability.ListKnown() {
		if mask>>uint(c)&1 == 1 {
			names = append(names, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return names
}
