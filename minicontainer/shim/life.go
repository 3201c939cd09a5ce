package shim

import (
	"errors"
	"fmt"
	"time"

	"cutaway/minicontainer"
	"cutaway/minicontainer/bundle"
	"cutaway/minicontainer/jsonlog"
	"cutaway/minicontainer/oci"
	"cutaway/netdemo"
	"cutaway/unionfs"
)

// life is one run of the container's program, from mount to unmount.
type life struct {
	*shim
	c       *minicontainer.Container
	root    *unionfs.Mount
	bundle  *oci.Bundle
	runtime *oci.Container
	ended   <-chan int
	log     *jsonlog.Writer
	splits  []*jsonlog.Splitter
	sandbox *netdemo.Namespace
	names   *netdemo.Resolver
	began   time.Time
}

// start begins a life. The record is locked all the while: nobody removes,
// renames or connects what is half there. On an error nothing of it is left.
func (s *shim) start() error {
	l := &life{shim: s, began: time.Now()}
	_, err := s.engine.Change(s.id, func(c *minicontainer.Container) error {
		l.c = c
		for _, step := range []func() error{
			l.claim,       // the record says that from here on there may be something
			l.mountRoot,   // the image's layers and the container's own
			l.linkUp,      // those that it is linked to run, and know of it
			l.writeFiles,  // hostname, resolv.conf; hosts when the address is known
			l.writeBundle, // config.json
			l.openLog,     // where the output goes
			l.create,      // namespaces, cgroup, limits, addresses; the program does not run yet
			l.connect,     // its names on the networks
			l.release,     // the program runs
			l.record,      // the record says so
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	s.life = l
	if err == nil {
		s.engine.TellLinkers(s.id)
	}
	return err
}

func (l *life) claim() error {
	c := l.c
	if c.State.RemovalInProgress || c.State.Dead {
		return errors.New("container is marked for removal and cannot be started")
	}
	if c.State.Restarting {
		// Who wants it to stop says so under the lock that is held here, or after
		// this life has begun, to its process.
		if c.HasBeenManuallyStopped {
			return errCalledOff
		}
		c.RestartCount++
	}
	if c.State.Stale() && !c.State.Restarting {
		if err := l.children.while(func() error { return l.engine.Settle(c) }); err != nil {
			return err
		}
	}
	boot, err := minicontainer.BootID()
	if err != nil {
		return err
	}
	c.State.BootID, c.State.Error = boot, ""
	return l.engine.Save(c)
}

// mountRoot mounts it. Some storage drivers have programs do that.
func (l *life) mountRoot() error {
	err := l.children.while(func() (err error) {
		l.root, err = l.engine.Images.MountRoot(l.id)
		return err
	})
	if err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	l.c.State.Rootfs = l.root.Path
	return nil
}

// bundleDir is where the runtime finds config.json: with what lives as long as
// the processes.
func (l *life) bundleDir() string { return l.engine.ShimSocketDir(l.id) }

func (l *life) writeBundle() error {
	facts, err := l.facts()
	if err != nil {
		return err
	}
	spec, err := bundle.Make(l.c, facts)
	if err != nil {
		return err
	}
	l.bundle, err = oci.WriteBundle(l.bundleDir(), spec)
	return err
}

// create has the runtime make the container, with our pipes as its standard
// files. Meanwhile it is put on its networks: neither needs the other, and both
// are mostly a matter of waiting for the kernel.
func (l *life) create() error {
	ends, err := l.streams.open(l.c.Config.Tty, l.c.Config.OpenStdin)
	if err != nil {
		return err
	}
	defer ends.close()
	l.streams.once = l.c.Config.StdinOnce
	return l.children.while(func() error {
		networks := joining{life: l}
		l.runtime, err = l.engine.Runtime.Create(l.id, oci.Options{Loaded: l.bundle, Stdio: ends.stdio,
			Front: l.c.Config.Tty, Born: networks.begin})
		if err = networks.end(err); err != nil {
			return err
		}
		l.ended = l.children.watch(l.runtime.Pid)
		return l.streams.terminal(l.runtime.Terminal, l.c.Config.OpenStdin)
	})
}

func (l *life) release() error {
	if err := l.children.while(l.runtime.Start); err != nil {
		return fmt.Errorf("OCI runtime start failed: %w", err)
	}
	return nil
}

func (l *life) record() error {
	st := &l.c.State
	st.Running, st.Restarting, st.Paused, st.Dead, st.OOMKilled = true, false, false, false, false
	st.Pid, st.ExitCode, st.StartedAt = l.runtime.Pid, 0, time.Now().UTC()
	l.c.HasBeenStartedBefore, l.c.HasBeenManuallyStopped = true, false
	return nil // Change saves it
}

// wait waits for the program's end.
func (l *life) wait() int { return <-l.ended }

// takeDown undoes a life in reverse and writes down how it ended; with --rm the
// container goes too. restarting says that another life follows.
func (s *shim) takeDown(code int, restarting bool) error {
	l := s.life
	_, err := s.engine.Change(s.id, func(c *minicontainer.Container) error {
		// Asked while its group is there. Without a limit, want of memory is the host's.
		oom := c.HostConfig.Memory != 0 && l.runtime != nil && l.runtime.OOMKills() > 0
		if err := l.dismantle(c); err != nil {
			c.State.Error = err.Error()
		}
		if c.State.Running && !c.State.Restarting {
			c.State.Ended(code)
			c.State.OOMKilled = oom
		}
		c.NetworkSettings.Clear()
		c.State.Running, c.State.Restarting = restarting, restarting
		if restarting {
			c.State.BootID, _ = minicontainer.BootID()
			return nil
		}
		c.State.BootID = ""
		return s.autoRemove(c)
	})
	if errors.Is(err, errRemoved) {
		return nil
	}
	return err
}

// dismantle takes down what the life made. It may have got half way only, and a
// restart that was called off has nothing left.
func (l *life) dismantle(c *minicontainer.Container) error {
	if l.names != nil {
		l.names.Close()
	}
	if l.sandbox != nil {
		l.sandbox.Close()
	}
	err := l.children.while(func() error {
		err := l.engine.TakeDown(c, l.runtime)
		if l.root != nil {
			err = errors.Join(err, l.root.Release())
		}
		return err
	})
	l.streams.settle(2 * time.Second)
	for _, split := range l.splits {
		split.Flush()
	}
	if l.log != nil {
		l.log.Close()
	}
	l.names, l.sandbox, l.log, l.splits = nil, nil, nil, nil
	return err
}

// takeDownFailed is for a first life that never began: what went wrong stands in
// the record, as Docker has it.
func (s *shim) takeDownFailed(cause error, code int) {
	l := s.life
	s.engine.Change(s.id, func(c *minicontainer.Container) error {
		l.dismantle(c)
		c.State.Ended(code)
		c.State.FinishedAt = time.Now().UTC()
		c.State.Error = cause.Error()
		c.NetworkSettings.Clear()
		return s.autoRemove(c)
	})
}

// autoRemove is --rm. A container that could not be removed stays, and says why.
func (s *shim) autoRemove(c *minicontainer.Container) error {
	if !c.HostConfig.AutoRemove {
		return nil
	}
	err := s.children.while(func() error {
		return s.engine.RemoveLocked(c, minicontainer.RemoveOptions{Volumes: true})
	})
	if err == nil {
		return errRemoved
	}
	c.State.Error = err.Error()
	return nil
}

// errRemoved keeps the record from being written again.
var errRemoved = errors.New("removed")
