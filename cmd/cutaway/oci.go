package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"cutaway/minicontainer/oci"
)

// ociFlags are runc's global options.
type ociFlags struct {
	root, log, logFormat, criu, rootless string
	debug, systemdCgroup                 bool
}

// newOCICommand is the runtime with runc's command line, so that Podman,
// containerd or Docker can be told to use it.
func newOCICommand() *cobra.Command {
	f := &ociFlags{}
	cmd := &cobra.Command{
		Use:           "oci",
		Short:         "Container runtime with runc's command line",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.root, "root", "/run/cutaway/oci", "folder for the state of containers, on a tmpfs")
	flags.StringVar(&f.log, "log", "", "file to write the log to, beside standard error")
	flags.StringVar(&f.logFormat, "log-format", "text", "format of the log: text or json")
	flags.BoolVar(&f.debug, "debug", false, "log more")
	flags.BoolVar(&f.systemdCgroup, "systemd-cgroup", false, "have systemd make the cgroups (refused: see the error)")
	flags.StringVar(&f.criu, "criu", "", "ignored: there is no checkpoint and restore")
	flags.StringVar(&f.rootless, "rootless", "auto", "ignored: found out by itself")
	for _, sub := range []*cobra.Command{
		f.spec(), f.create(), f.start(), f.run(), f.state(), f.list(), f.kill(), f.delete(), f.exec(),
		f.pause(), f.resume(), f.ps(), f.events(), f.update(), f.features(),
	} {
		cmd.AddCommand(f.logged(sub))
	}
	return cmd
}

// runtime opens the state directory, once the global options were found sensible.
func (f *ociFlags) runtime() (*oci.Runtime, error) {
	if f.systemdCgroup {
		return nil, f.refuseSystemd()
	}
	return &oci.Runtime{Root: f.root, Warn: func(err error) { f.write("warning", err.Error()) }}, nil
}

// refuseSystemd tells why and what to do: the runtime writes cgroup files itself.
func (f *ociFlags) refuseSystemd() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("systemd not running on this host, cannot use systemd cgroups manager")
	}
	return errors.New("--systemd-cgroup is not supported: cutaway writes the cgroup files itself; " +
		"leave the flag out (Podman: --cgroup-manager=cgroupfs; Docker: native.cgroupdriver=cgroupfs)")
}

// open finds the container that the first argument names.
func (f *ociFlags) open(args []string) (*oci.Container, error) {
	r, err := f.runtime()
	if err != nil {
		return nil, err
	}
	return r.Open(args[0])
}
