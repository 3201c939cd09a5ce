package minicontainer

// Recover brings all records in line with the kernel, clears what died half
// made, and starts what its restart policy wants back: after a reboot, or after
// the death of a shim. A daemon does it when it begins. What could not be done
// is told; one container's trouble does not keep the others from running.
func (e *Engine) Recover() []error {
	var errs []error
	tell := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	// Which ones ran has to be read before they are settled.
	ids, err := e.ids()
	tell(err)
	var back []string
	for _, id := range ids {
		c, err := e.load(id)
		if isDamaged(err) {
			tell(err)
		}
		if err == nil && !e.ShimAlive(id) && comesBack(c) {
			back = append(back, id)
		}
	}
	_, err = e.List(ListOptions{All: true})
	tell(err)
	tell(e.Sweep())
	for _, id := range back {
		s, err := e.Start(id, nil)
		tell(err)
		if s != nil {
			tell(s.Close())
		}
	}
	return errs
}

// comesBack: "always" means also after somebody had stopped it.
func comesBack(c *Container) bool {
	switch c.HostConfig.RestartPolicy.Name {
	case "always":
		return c.HasBeenStartedBefore
	case "unless-stopped":
		return c.HasBeenStartedBefore && !c.HasBeenManuallyStopped
	case "on-failure":
		return c.State.Running
	}
	return false
}
