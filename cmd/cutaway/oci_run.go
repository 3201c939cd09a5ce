package main

import (
	"errors"

	"github.com/spf13/cobra"

	"cutaway/minicontainer/oci"
)

// createFlags are the options that create and run share.
type createFlags struct {
	oci.Options
	noPivot, noSubreaper, detach, keep bool
}

func (c *createFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&c.Bundle, "bundle", "b", ".", "folder with config.json")
	flags.StringVar(&c.ConsoleSocket, "console-socket", "", "unix socket that gets the terminal's master side")
	flags.StringVar(&c.PidFile, "pid-file", "", "file to write the process id to")
	flags.IntVar(&c.Preserve, "preserve-fds", 0, "pass so many more descriptors, from 3 on, to the container")
	flags.BoolVar(&c.NoNewKeyring, "no-new-keyring", false, "keep the caller's session keyring")
	flags.BoolVar(&c.noPivot, "no-pivot", false, "refused: only pivot_root keeps the container in its root")
}

func (c *createFlags) check() error {
	if c.noPivot {
		return errors.New("--no-pivot is not supported: without pivot_root the container's root is a mount moved over /, " +
			"from which a process with CAP_SYS_CHROOT finds back to the host; put the root file system on something " +
			"other than the initramfs, where pivot_root works")
	}
	return nil
}

// maker is the runtime for a container that is to be made with these options.
func (f *ociFlags) maker(c *createFlags) (*oci.Runtime, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return f.runtime()
}

func (f *ociFlags) create() *cobra.Command {
	c := &createFlags{}
	cmd := &cobra.Command{
		Use:   "create <container-id>",
		Short: "Make a container, up to the point where only the program has to be started",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := f.maker(c)
			if err != nil {
				return err
			}
			_, err = r.Create(args[0], c.Options)
			return err
		},
	}
	c.add(cmd)
	return cmd
}

func (f *ociFlags) start() *cobra.Command {
	return &cobra.Command{
		Use:   "start <container-id>",
		Short: "Run the user's program in a created container",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := f.open(args)
			if err != nil {
				return err
			}
			return c.Start()
		},
	}
}

func (f *ociFlags) run() *cobra.Command {
	c := &createFlags{}
	cmd := &cobra.Command{
		Use:   "run <container-id>",
		Short: "Create and start a container, and wait for it unless detached",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := f.maker(c)
			if err != nil {
				return err
			}
			if c.detach {
				return runDetached(r, args[0], c.Options)
			}
			return runInFront(r, args[0], c)
		},
	}
	c.add(cmd)
	cmd.Flags().BoolVarP(&c.detach, "detach", "d", false, "do not wait for the container")
	cmd.Flags().BoolVar(&c.noSubreaper, "no-subreaper", false, "do not adopt the container's orphans")
	cmd.Flags().BoolVar(&c.keep, "keep", false, "do not delete the container when it has ended")
	return cmd
}

func runDetached(r *oci.Runtime, id string, o oci.Options) error {
	c, err := r.Create(id, o)
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return errors.Join(err, c.Delete(true))
	}
	return nil
}

// runInFront waits for the container, removes it and ends with its status.
func runInFront(r *oci.Runtime, id string, c *createFlags) error {
	if !c.noSubreaper {
		if err := oci.Adopt(); err != nil {
			return err
		}
	}
	c.Front = true
	container, err := r.Create(id, c.Options)
	if err != nil {
		return err
	}
	status, err := startAndWait(container)
	if !c.keep || err != nil {
		err = errors.Join(err, container.Delete(true))
	}
	if err != nil {
		return err
	}
	return exitError{code: status}
}

func startAndWait(c *oci.Container) (int, error) {
	if err := c.Start(); err != nil {
		return 0, err
	}
	return waitFor(c.Pid, c.Terminal)
}
