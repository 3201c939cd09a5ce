package cgroupdemo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sample is one point of a plot: what happened since the sample before.
type Sample struct {
	At        time.Duration // since the measurement began
	Used      time.Duration // CPU time since the sample before
	Share     float64       // Used over wall time: 1 is one whole CPU
	Throttled uint64        // throttled periods since the sample before
}

// Measurement is a series with the file that the CPU time came from.
type Measurement struct {
	Samples []Sample
	Path    string
}

// MeasureCPU samples the group's own accounting (see [Group.CPU]) every interval
// for n samples. Wall time is taken at each reading, not assumed to be the
// interval: on a busy machine the measuring process is late too.
func (g *Group) MeasureCPU(ctx context.Context, interval time.Duration, n int) (Measurement, error) {
	begin := time.Now()
	last, lastAt := g.CPU(), begin
	m := Measurement{Path: last.Total.Path}
	for range n {
		if err := pause(ctx, interval); err != nil {
			return m, err
		}
		now, at := g.CPU(), time.Now()
		if err := errors.Join(last.Total.Err, now.Total.Err); err != nil {
			return m, fmt.Errorf("measure group %s: %w", g.Config.Name, err)
		}
		used := now.Total.Value - last.Total.Value
		m.Samples = append(m.Samples, Sample{
			At: at.Sub(begin), Used: used,
			Share:     used.Seconds() / at.Sub(lastAt).Seconds(),
			Throttled: now.Throttled.Value - last.Throttled.Value,
		})
		last, lastAt = now, at
	}
	return m, nil
}

// Share is the mean over all samples, weighted by their wall time.
func (m Measurement) Share() float64 {
	if len(m.Samples) == 0 {
		return 0
	}
	var used time.Duration
	for _, s := range m.Samples {
		used += s.Used
	}
	return used.Seconds() / m.Samples[len(m.Samples)-1].At.Seconds()
}
