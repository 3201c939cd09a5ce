package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"cutaway/internal/vm"
	"cutaway/labs/walk"
)

// vmOptions are the flags that say which guest to boot.
type vmOptions struct {
	kernel, modules, accel string
	memory, cpus, scratch  int
	cold                   bool
}

// newVMCommand is "cutaway vm": labs need a kernel that can do what they show, and this
// borrows one.
func newVMCommand() *cobra.Command {
	var o vmOptions
	c := &cobra.Command{Use: "vm", Short: "Run commands and labs in a throwaway Linux guest (QEMU)"}
	o.register(c.PersistentFlags())
	c.AddCommand(newVMKernels(), newVMPrepare(&o), newVMRun(&o), newVMShell(&o), newVMCheck(&o))
	for _, sub := range c.Commands() {
		sub.RunE = failing(sub.RunE)
	}
	return c
}

// failing gives errors of a command that was well-formed their exit code.
func failing(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := run(c, args)
		var coded exitError
		if err == nil || errors.As(err, &coded) {
			return err
		}
		return exitError{code: exitFailed, err: err}
	}
}

func newVMKernels() *cobra.Command {
	return &cobra.Command{Use: "kernels", Short: "List the kernels that can be booted", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := vm.DefaultCacheDir()
			if err != nil {
				return err
			}
			kernels, problems, err := vm.Kernels(c.Context(), dir)
			if err != nil {
				return err
			}
			printKernels(c.OutOrStdout(), kernels)
			for _, p := range problems {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %v\n", p.Source, p.Err)
			}
			return nil
		}}
}

func printKernels(w io.Writer, kernels []vm.Kernel) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tRELEASE\tFROM\tSTATE")
	for _, k := range kernels {
		state := "ready"
		if k.Image == "" {
			state = fmt.Sprintf("cutaway vm prepare fetches it (%d MB)", k.Bytes>>20)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.Name, k.Release, k.Source, state)
	}
	t.Flush()
}

func newVMPrepare(o *vmOptions) *cobra.Command {
	return &cobra.Command{Use: "prepare", Short: "Fetch a kernel, build its initramfs, and start it once", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			want := *o
			if want.kernel == "" {
				want.kernel = "debian" // asked for by name: look for a newer one
			}
			k, fs, dir, err := want.prepare(c.Context(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "kernel     %s (%s)\ninitramfs  %s (%.1f MB)\n", k.Name, k.Release, fs.Path, float64(fs.Bytes)/(1<<20))
			if fs.Disk != "" {
				fmt.Fprintf(c.OutOrStdout(), "disk       %s (%.1f MB)\n", fs.Disk, float64(fs.DiskBytes)/(1<<20))
			}
			for _, name := range fs.MissingPrograms {
				fmt.Fprintf(c.OutOrStdout(), "left out   program %s: not on this machine\n", name)
			}
			for _, name := range fs.MissingModules {
				fmt.Fprintf(c.OutOrStdout(), "left out   module %s: not in this kernel\n", name)
			}
			return want.rehearse(c.Context(), c.OutOrStdout(), k, fs, dir)
		}}
}

// rehearse starts the machine once, so that the first who needs it finds its memory
// kept. Files can be prepared without QEMU.
func (o vmOptions) rehearse(ctx context.Context, out io.Writer, k vm.Kernel, fs vm.Initramfs, dir string) error {
	m, err := o.start(ctx, k, fs, dir)
	switch {
	case errors.Is(err, vm.ErrNoQEMU):
		return nil
	case err != nil:
		return err
	}
	defer m.Close()
	fmt.Fprintf(out, "machine    answers %.1f s after power-on (%s)\n", m.BootTime.Seconds(), m.Accel)
	return nil
}

func newVMRun(o *vmOptions) *cobra.Command {
	return &cobra.Command{Use: "run -- COMMAND [ARG...]", Short: "Run a command in a guest; its exit code is ours", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c, vm.Command{Args: args, Stdin: c.InOrStdin(), Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr()})
		}}
}

func newVMShell(o *vmOptions) *cobra.Command {
	return &cobra.Command{Use: "shell", Short: "Open a shell in a guest", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			shell := vm.Command{Args: []string{"sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"}, Stdin: c.InOrStdin(), Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr()}
			return o.run(c, shell)
		}}
}

// newVMCheck runs "cutaway check" there; all flags after the word are check's own.
func newVMCheck(o *vmOptions) *cobra.Command {
	return &cobra.Command{Use: "check [-- FLAGS]", Short: "Check what a guest's kernel can do",
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c, vm.Command{Args: append([]string{vm.SelfPath, "check"}, args...),
				Stdin: c.InOrStdin(), Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr()})
		}}
}

// prepare gets the kernel and the initramfs that the flags ask for.
func (o vmOptions) prepare(ctx context.Context, progress io.Writer) (k vm.Kernel, fs vm.Initramfs, dir string, err error) {
	if dir, err = vm.DefaultCacheDir(); err != nil {
		return
	}
	show := newProgressLine(progress)
	if o.modules != "" {
		k, err = vm.PrepareFile(ctx, dir, o.kernel, o.modules)
	} else {
		k, err = vm.Prepare(ctx, dir, o.kernel, show.report)
	}
	show.end()
	if err == nil {
		fs, err = vm.BuildInitramfs(ctx, dir, vm.InitramfsSpec{Kernel: k})
	}
	return
}

// register puts the flags that say which guest to boot on a command.
func (o *vmOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.kernel, "kernel", "", "kernel of the VM: a name from \"vm kernels\", or the file of a kernel image")
	f.StringVar(&o.modules, "modules", "", "folder with the modules of a --kernel file, such as /lib/modules/6.1.0")
	f.StringVar(&o.accel, "accel", "auto", "what QEMU runs on: auto, kvm or tcg")
	f.IntVar(&o.memory, "memory", 1024, "memory of the VM in MB")
	f.IntVar(&o.cpus, "cpus", 2, "processors of the VM")
	f.BoolVar(&o.cold, "cold", false, "start the VM from power-on, not from the kept memory of an earlier start")
	f.IntVar(&o.scratch, "scratch", 1024, "size in MB of an empty disk /dev/vda in the VM; what is not written takes nothing")
}

// boot gets the kernel and its initramfs where they are not there yet, and
// boots them.
func (o vmOptions) boot(ctx context.Context, progress io.Writer) (*vm.Machine, vm.Kernel, error) {
	k, fs, dir, err := o.prepare(ctx, progress)
	if err != nil {
		return nil, k, err
	}
	m, err := o.start(ctx, k, fs, dir)
	return m, k, err
}

// start boots what was prepared. The relay waits in the guest for the first lab.
func (o vmOptions) start(ctx context.Context, k vm.Kernel, fs vm.Initramfs, dir string) (*vm.Machine, error) {
	return vm.Boot(ctx, vm.Config{Kernel: k, Initramfs: fs, CacheDir: dir, Accel: o.accel,
		MemoryMB: o.memory, CPUs: o.cpus, ScratchMB: o.scratch, Spare: walk.RelayCommand, Keep: !o.cold})
}

// run boots a guest for one command. On a terminal the command gets one too.
func (o vmOptions) run(c *cobra.Command, command vm.Command) error {
	ctx, stop := signal.NotifyContext(c.Context(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	m, _, err := o.boot(ctx, c.ErrOrStderr())
	if err != nil {
		return err
	}
	defer m.Close()
	restore, err := attachTerminal(&command)
	if err != nil {
		return err
	}
	code, err := m.Run(ctx, command)
	restore()
	if err != nil {
		return err
	}
	if code != 0 {
		return exitError{code: code}
	}
	return nil
}
