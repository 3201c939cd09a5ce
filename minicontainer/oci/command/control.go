package command

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci"
)

func (c *call) kill() *verb {
	v := newVerb("kill", "<container-id> [signal]", "Send a signal to the container's process (default SIGTERM)", 1, 2)
	all := v.Bool("all", false, "to all processes in the container")
	v.letter("a", "all")
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		sig, err := parseSignal(append(args, "SIGTERM")[1])
		if err != nil {
			return err
		}
		if *all {
			return box.KillAll(sig)
		}
		return box.Kill(sig)
	}
	return v
}

// parseSignal takes a number or a name, with SIG or without, in any case. 0 is sent
// to nobody, and only says whether it could be (kill(2)).
func parseSignal(word string) (unix.Signal, error) {
	if n, err := strconv.Atoi(word); err == nil {
		if n < 0 || n > 64 {
			return 0, fmt.Errorf("unknown signal %q", word)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(word)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	sig := unix.SignalNum(name)
	if sig == 0 {
		return 0, fmt.Errorf("unknown signal %q", word)
	}
	return sig, nil
}

func (c *call) delete() *verb {
	v := newVerb("delete", "<container-id>", "Remove a stopped container", 1, 1)
	force := v.Bool("force", false, "kill it first; a container that does not exist is no error")
	v.letter("f", "force")
	v.do = func(args []string) error {
		r, err := c.runtime()
		if err != nil {
			return err
		}
		return r.Delete(args[0], *force)
	}
	return v
}

func (c *call) start() *verb {
	return c.simple("start", "Run the user's program in a created container", (*oci.Container).Start)
}

func (c *call) pause() *verb {
	return c.simple("pause", "Freeze all processes of a container", (*oci.Container).Pause)
}

func (c *call) resume() *verb {
	return c.simple("resume", "Let the processes of a paused container go on", (*oci.Container).Resume)
}

// simple is a verb that has one argument and does one thing.
func (c *call) simple(name, short string, do func(*oci.Container) error) *verb {
	v := newVerb(name, "<container-id>", short, 1, 1)
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		return do(box)
	}
	return v
}
