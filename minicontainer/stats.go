package minicontainer

import (
	"runtime"
	"time"

	"cutaway/minicontainer/oci"
	"cutaway/netdemo"
)

// Stats are the numbers of one moment. Shares and percentages need two.
type Stats struct {
	ID, Name string
	Read     time.Time
	CPU      time.Duration // used since the start
	CPUs     int           // of the machine
	Memory   uint64        // bytes, without what the kernel could give back at once
	Limit    uint64        // of memory; the machine's without one
	Pids     uint64
	NetRx    uint64 // bytes, over all links but lo
	NetTx    uint64
	BlockIn  uint64 // bytes read from block devices
	BlockOut uint64
}

// Stats reads the container's cgroup and links. All is 0 for one that does not run.
func (e *Engine) Stats(ref string) (*Stats, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	s := &Stats{ID: c.ID, Name: c.PlainName(), Read: time.Now(), CPUs: runtime.NumCPU()}
	if !c.State.Running || c.State.Restarting {
		return s, nil
	}
	rc, err := e.Runtime.Open(c.ID)
	if err != nil {
		return nil, err
	}
	raw, err := rc.Stats()
	if err != nil {
		return nil, err
	}
	s.take(raw)
	if s.Limit, err = limitOr(raw.Memory.Usage.Limit); err != nil {
		return nil, err
	}
	return s, s.readLinks(c.State.Pid)
}

func (s *Stats) take(raw oci.Stats) {
	s.CPU = time.Duration(raw.CPU.Usage.Total)
	s.Pids = raw.Pids.Current
	// The page cache that nobody uses is memory only until somebody wants it.
	s.Memory = raw.Memory.Usage.Usage
	for _, name := range []string{"total_inactive_file", "inactive_file"} {
		if idle := raw.Memory.Raw[name]; idle > 0 && idle < s.Memory {
			s.Memory -= idle
			break
		}
	}
	for _, entry := range raw.Blkio.Bytes {
		switch entry.Op {
		case "Read", "read":
			s.BlockIn += entry.Value
		case "Write", "write":
			s.BlockOut += entry.Value
		}
	}
}

func (s *Stats) readLinks(pid int) error {
	ns, err := netdemo.OpenPid(pid)
	if err != nil {
		return nil // ended since
	}
	defer ns.Close()
	links, err := netdemo.Links(ns)
	for _, l := range links {
		if l.Name != "lo" {
			s.NetRx, s.NetTx = s.NetRx+l.RxBytes, s.NetTx+l.TxBytes
		}
	}
	return err
}

// Percent is the CPU use between two moments; 100 is one CPU.
func (s *Stats) Percent(before *Stats) float64 {
	passed := s.Read.Sub(before.Read)
	if passed <= 0 || s.CPU < before.CPU {
		return 0
	}
	return float64(s.CPU-before.CPU) / float64(passed) * 100
}
