package shim

import (
	"fmt"
	"time"

	"cutaway/minicontainer"
	"cutaway/minicontainer/bundle"
	"cutaway/minicontainer/oci"
)

// exec starts one more process in the container, joins it to the caller's files
// and tells the caller how it ended.
func (s *shim) exec(line *minicontainer.Line, a *admitted) {
	defer line.Close()
	own, _ := newStreams()
	own.once = true
	detach := own.attach(line, a.client)
	defer detach() // the caller reads to the end: our copies must go
	ended, pid, err := s.startExec(own, a)
	if err != nil {
		line.Send(minicontainer.Reply{Error: err.Error(), Code: max(startCode(err), 126)}) // never 125, which is run's
		return
	}
	line.Send(minicontainer.Reply{Started: true, Pid: pid})
	own.resize(a.Exec.Size)
	go func() { // the caller's terminal changes its size, or the caller goes
		defer detach() // what runs on has no business on that terminal
		for {
			var r minicontainer.Request
			if _, err := line.Receive(&r); err != nil {
				return
			}
			if r.Size != nil {
				own.resize(*r.Size)
			}
		}
	}()
	code := <-ended
	own.settle(time.Second)
	line.Send(minicontainer.Reply{Exited: true, Code: code})
}

func (s *shim) startExec(own *streams, a *admitted) (<-chan int, int, error) {
	c, err := s.engine.Read(s.id)
	if err != nil {
		return nil, 0, err
	}
	rc, err := s.engine.Runtime.Open(s.id)
	if err != nil {
		return nil, 0, err
	}
	who := a.Exec.User
	if who == "" {
		who = c.Config.User
	}
	user, err := bundle.LookupUser(c.State.Rootfs, who, c.HostConfig.GroupAdd)
	if err != nil {
		return nil, 0, err
	}
	have, err := rights()
	if err != nil {
		return nil, 0, err
	}
	process, err := bundle.ExecProcess(rc.Spec, c, *a.Exec, user, have)
	if err != nil {
		return nil, 0, err
	}
	wantsInput := a.client.In != nil
	ends, err := own.open(a.Exec.Tty, wantsInput)
	if err != nil {
		return nil, 0, err
	}
	defer ends.close()
	var ended <-chan int
	var p *oci.Process
	err = s.children.while(func() error {
		if p, err = rc.Exec(process, oci.Options{Stdio: ends.stdio, Front: a.Exec.Tty}); err != nil {
			return fmt.Errorf("OCI runtime exec failed: %w", err)
		}
		ended = s.children.watch(p.Pid)
		return own.terminal(p.Terminal, wantsInput)
	})
	if err != nil {
		return nil, 0, err
	}
	return ended, p.Pid, nil
}
