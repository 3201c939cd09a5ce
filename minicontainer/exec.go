package minicontainer

// ExecOptions are one more process in a running container.
type ExecOptions struct {
	Cmd        []string
	Env        []string // over the container's
	User       string   // "" is the container's
	WorkingDir string   // "" is the container's
	Tty        bool
	Privileged bool
	Detach     bool // nobody waits, nobody listens
	Size       Size // of the caller's terminal, with Tty
}

// Exec starts a process in a running container. The shim is its parent: it goes
// on when the caller is gone. The streams are the process's own.
func (e *Engine) Exec(ref string, o ExecOptions, streams *Streams) (*Session, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	switch {
	case len(o.Cmd) == 0:
		return nil, invalidf("No exec command specified")
	case !c.State.Running:
		return nil, conflictf("Container %s is not running", c.ID)
	case c.State.Paused:
		return nil, conflictf("Container %s is paused, unpause the container before exec", c.PlainName())
	case c.State.Restarting:
		return nil, conflictf("Container %s is restarting, wait until the container is running", c.ID)
	}
	s, err := e.call(c.ID)
	if err != nil {
		return nil, err
	}
	if err = s.ask(Request{Exec: &o}, streams); err == nil {
		err = s.started()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Attach joins the caller to the streams of a running container's process.
func (e *Engine) Attach(ref string, streams *Streams) (*Session, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	switch {
	case !c.State.Running:
		return nil, conflictf("You cannot attach to a stopped container, start it first")
	case c.State.Paused:
		return nil, conflictf("You cannot attach to a paused container, unpause it first")
	}
	s, err := e.call(c.ID)
	if err != nil {
		return nil, err
	}
	if err = s.ask(Request{Attach: &AttachRequest{}}, streams); err == nil {
		err = s.started()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
