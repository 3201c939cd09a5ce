package command

import (
	"errors"

	"cutaway/minicontainer/oci"
)

// createOptions are those that create and run share.
type createOptions struct {
	oci.Options
	noPivot, noSubreaper, detach, keep bool
}

func (o *createOptions) add(v *verb) {
	v.StringVar(&o.Bundle, "bundle", ".", "folder with config.json")
	v.letter("b", "bundle")
	v.StringVar(&o.ConsoleSocket, "console-socket", "", "unix socket that gets the terminal's master side")
	v.StringVar(&o.PidFile, "pid-file", "", "file to write the process id to")
	v.IntVar(&o.Preserve, "preserve-fds", 0, "pass so many more descriptors, from 3 on, to the container")
	v.BoolVar(&o.NoNewKeyring, "no-new-keyring", false, "keep the caller's session keyring")
	v.BoolVar(&o.noPivot, "no-pivot", false, "refused: only pivot_root keeps the container in its root")
}

func (o *createOptions) check() error {
	if o.noPivot {
		return errors.New("--no-pivot is not supported: without pivot_root the container's root is a mount moved over /, " +
			"from which a process with CAP_SYS_CHROOT finds back to the host; put the root file system on something " +
			"other than the initramfs, where pivot_root works")
	}
	return nil
}

// maker is the runtime for a container that is to be made with these options.
func (c *call) maker(o *createOptions) (*oci.Runtime, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return c.runtime()
}

func (c *call) create() *verb {
	o := &createOptions{}
	v := newVerb("create", "<container-id>", "Make a container, up to the point where only the program has to be started", 1, 1)
	o.add(v)
	v.do = func(args []string) error {
		r, err := c.maker(o)
		if err != nil {
			return err
		}
		_, err = r.Create(args[0], o.Options)
		return err
	}
	return v
}

func (c *call) run() *verb {
	o := &createOptions{}
	v := newVerb("run", "<container-id>", "Create and start a container, and wait for it unless detached", 1, 1)
	o.add(v)
	v.BoolVar(&o.detach, "detach", false, "do not wait for the container")
	v.letter("d", "detach")
	v.BoolVar(&o.noSubreaper, "no-subreaper", false, "do not adopt the container's orphans")
	v.BoolVar(&o.keep, "keep", false, "do not delete the container when it has ended")
	v.do = func(args []string) error {
		r, err := c.maker(o)
		if err != nil {
			return err
		}
		if o.detach {
			return runDetached(r, args[0], o.Options)
		}
		return runInFront(r, args[0], o)
	}
	return v
}

func runDetached(r *oci.Runtime, id string, o oci.Options) error {
	box, err := r.Create(id, o)
	if err != nil {
		return err
	}
	if err := box.Start(); err != nil {
		return errors.Join(err, box.Delete(true))
	}
	return nil
}

// runInFront waits for the container, removes it and ends with its status.
func runInFront(r *oci.Runtime, id string, o *createOptions) error {
	if !o.noSubreaper {
		if err := oci.Adopt(); err != nil {
			return err
		}
	}
	o.Front = true
	box, err := r.Create(id, o.Options)
	if err != nil {
		return err
	}
	code, err := startAndWait(box)
	if !o.keep || err != nil {
		err = errors.Join(err, box.Delete(true))
	}
	if err != nil {
		return err
	}
	return status(code)
}

func startAndWait(box *oci.Container) (int, error) {
	if err := box.Start(); err != nil {
		return 0, err
	}
	return waitFor(box.Pid, box.Terminal)
}
