package minicontainer

import (
	"errors"
	"io"
	"strings"

	"cutaway/unionfs/image"
	"cutaway/unionfs/layertar"
)

// Diff lists what the container has changed in its files.
func (e *Engine) Diff(ref string) ([]layertar.Change, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	return e.Images.Changes(c.ID)
}

// CommitOptions are those of commit.
type CommitOptions struct {
	Author, Message string
	Changes         []string // Dockerfile instructions
	Pause           bool
	Name            string // to give to the image; "" for none
}

// Commit makes an image of a container: its changes as one more layer, its
// configuration as the new default. With Pause its processes stand still
// meanwhile, so that no file is caught half written.
func (e *Engine) Commit(ref string, o CommitOptions) (img *image.Image, err error) {
	var name image.Reference
	if o.Name != "" { // before anything is made that it would not fit
		if name, err = image.ParseReference(o.Name); err != nil {
			return nil, err
		}
	}
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	base, err := e.Images.Get(c.Image)
	if err != nil {
		return nil, err
	}
	change, err := commitChange(c, o.Changes)
	if err != nil {
		return nil, err
	}
	if o.Pause && c.State.Running && !c.State.Paused {
		if err := e.Pause(c.ID); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, e.Unpause(c.ID)) }()
	}
	img, err = e.Images.Commit(c.ID, base, image.CommitOptions{Author: o.Author, Comment: o.Message,
		Command: strings.Join(append([]string{c.Path}, c.Args...), " "), Change: change})
	if err != nil || o.Name == "" {
		return img, err
	}
	return img, e.Images.Tag(name, img.ImageID)
}

// commitChange gives the image the container's configuration, then what
// --change says.
func commitChange(c *Container, lines []string) (func(*image.Config), error) {
	changes := []func(*image.Config){func(to *image.Config) {
		from := c.Config
		to.Env, to.Cmd, to.Entrypoint, to.WorkingDir, to.User = from.Env, from.Cmd, from.Entrypoint, from.WorkingDir, from.User
		to.ExposedPorts, to.Volumes, to.Labels, to.StopSignal = from.ExposedPorts, from.Volumes, from.Labels, from.StopSignal
	}}
	for _, line := range lines {
		change, err := image.ParseChange(line)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return func(to *image.Config) {
		for _, change := range changes {
			change(to)
		}
	}, nil
}

// Export writes all files of a container as one tar, without volumes.
func (e *Engine) Export(ref string, w io.Writer) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	return e.Images.WriteRoot(c.ID, w)
}

// Update changes limits and, unless nil, the restart policy. What is zero stays
// as it was. A running container's are changed at once, by its shim.
func (e *Engine) Update(ref string, r Resources, policy *RestartPolicy) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	_, err = e.Change(c.ID, func(c *Container) error {
		c.HostConfig.Resources.override(r)
		if policy != nil {
			c.HostConfig.RestartPolicy = *policy
		}
		if err := checkHostConfig(&c.HostConfig); err != nil {
			return err
		}
		if c.State.Running && !c.State.Restarting {
			if err := e.applyLimits(c); err != nil {
				return err
			}
		}
		return e.save(c)
	})
	return err
}

func (e *Engine) applyLimits(c *Container) error {
	return e.ask(c.ID, Request{Limits: &c.HostConfig.Resources})
}

// ask has a container's shim do something, and waits until it is done.
func (e *Engine) ask(id string, r Request) error {
	s, err := e.call(id)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.line.Send(r); err != nil {
		return err
	}
	return s.started()
}

// override takes over what is not zero. Memory and swap go together: a new
// limit with the old sum of both would often contradict itself.
func (r *Resources) override(by Resources) {
	set := func(to *int64, from int64) {
		if from != 0 {
			*to = from
		}
	}
	set(&r.Memory, by.Memory)
	set(&r.MemorySwap, by.MemorySwap)
	set(&r.MemoryReservation, by.MemoryReservation)
	set(&r.NanoCPUs, by.NanoCPUs)
	set(&r.CPUShares, by.CPUShares)
	set(&r.CPUPeriod, by.CPUPeriod)
	set(&r.CPUQuota, by.CPUQuota)
	if by.CpusetCpus != "" {
		r.CpusetCpus = by.CpusetCpus
	}
	if by.CpusetMems != "" {
		r.CpusetMems = by.CpusetMems
	}
	if by.PidsLimit != nil {
		r.PidsLimit = by.PidsLimit
	}
	if by.BlkioWeight != 0 {
		r.BlkioWeight = by.BlkioWeight
	}
}
