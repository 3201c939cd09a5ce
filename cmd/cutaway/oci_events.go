package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"cutaway/minicontainer/oci"
)

// ociEvent is one line of the events command.
type ociEvent struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

func (f *ociFlags) events() *cobra.Command {
	var once bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "events <container-id>",
		Short: "Print numbers of a container, and its deaths for want of memory, as JSON lines",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.open(args)
			if err != nil {
				return err
			}
			out := json.NewEncoder(&lineWriter{w: cmd.OutOrStdout()})
			if once {
				return tellStats(out, c)
			}
			return follow(cmd.Context(), out, c, interval)
		},
	}
	cmd.Flags().BoolVar(&once, "stats", false, "print the numbers once and end")
	cmd.Flags().DurationVar(&interval, "interval", 5*time.Second, "time between two lines")
	return cmd
}

// lineWriter keeps lines of several goroutines whole.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}

func tellStats(out *json.Encoder, c *oci.Container) error {
	stats, err := c.Stats()
	if err != nil {
		return err
	}
	return out.Encode(ociEvent{"stats", c.ID, stats})
}

// follow prints until the container has ended.
func follow(ctx context.Context, out *json.Encoder, c *oci.Container, interval time.Duration) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.OOMs(ctx, func() { out.Encode(ociEvent{Type: "oom", ID: c.ID}) })
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for c.Status() != oci.Stopped {
		if err := tellStats(out, c); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (f *ociFlags) features() *cobra.Command {
	return &cobra.Command{
		Use:   "features",
		Short: "Print what this runtime knows, as JSON",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printJSON(cmd.OutOrStdout(), oci.Features(), "    ")
		},
	}
}

// updateFlags are the limits that update can change; those given count.
type updateFlags struct {
	file                            string
	memory, reservation, swap, pids int64
	quota                           int64
	period, shares                  uint64
	cpus, mems                      string
}

func (f *ociFlags) update() *cobra.Command {
	u := &updateFlags{}
	cmd := &cobra.Command{
		Use:   "update <container-id>",
		Short: "Change the limits of a container",
		Args:  cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVarP(&u.file, "resources", "r", "", "file with the resources object as JSON, - is standard input")
	flags.Int64Var(&u.memory, "memory", 0, "memory limit in bytes")
	flags.Int64Var(&u.reservation, "memory-reservation", 0, "soft limit in bytes")
	flags.Int64Var(&u.swap, "memory-swap", 0, "memory and swap together in bytes, -1 is no limit")
	flags.Int64Var(&u.pids, "pids-limit", 0, "how many processes, -1 is no limit")
	flags.Int64Var(&u.quota, "cpu-quota", 0, "microseconds per period")
	flags.Uint64Var(&u.period, "cpu-period", 0, "microseconds")
	flags.Uint64Var(&u.shares, "cpu-share", 0, "relative weight")
	flags.StringVar(&u.cpus, "cpuset-cpus", "", "processors to use")
	flags.StringVar(&u.mems, "cpuset-mems", "", "memory nodes to use")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := f.open(args)
		if err != nil {
			return err
		}
		r, err := u.resources(cmd)
		if err != nil {
			return err
		}
		return c.Update(r)
	}
	return cmd
}

// resources reads the file, or takes the options that were given.
func (u *updateFlags) resources(cmd *cobra.Command) (specs.LinuxResources, error) {
	var r specs.LinuxResources
	if u.file != "" {
		in := cmd.InOrStdin()
		if u.file != "-" {
			file, err := os.Open(u.file)
			if err != nil {
				return r, err
			}
			defer file.Close()
			in = file
		}
		return r, json.NewDecoder(in).Decode(&r)
	}
	r.Memory, r.CPU = &specs.LinuxMemory{}, &specs.LinuxCPU{Cpus: u.cpus, Mems: u.mems}
	for name, set := range map[string]func(){
		"memory":             func() { r.Memory.Limit = &u.memory },
		"memory-reservation": func() { r.Memory.Reservation = &u.reservation },
		"memory-swap":        func() { r.Memory.Swap = &u.swap },
		"pids-limit":         func() { r.Pids = &specs.LinuxPids{Limit: &u.pids} },
		"cpu-quota":          func() { r.CPU.Quota = &u.quota },
		"cpu-period":         func() { r.CPU.Period = &u.period },
		"cpu-share":          func() { r.CPU.Shares = &u.shares },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	return r, nil
}
