package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cutaway/unionfs/aufs"
)

// newAufsCommand is "cutaway aufs": AUFS for everybody, by the kernel's module
// where there is one and by a FUSE server everywhere else.
func newAufsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aufs",
		Short: "mount directories stacked, as Docker's first storage driver did",
		Long: `Stack directories into one with AUFS's own options, names on disk and rules.
Where the kernel has aufs it is used; everywhere else cutaway serves the same
in user space (FUSE). The output says which of the two is at work.`,
	}
	cmd.AddCommand(newAufsMount(), newAufsBranches(), newAufsRemount(), newAufsUmount())
	return cmd
}

func newAufsMount() *cobra.Command {
	var spec aufs.Spec
	cmd := &cobra.Command{
		Use:     "mount -o OPTIONS TARGET",
		Short:   "mount a union, e.g. -o br:/tmp/rw=rw:/tmp/image=ro+wh",
		Example: "  cutaway aufs mount -o br:/tmp/rw=rw:/tmp/b=ro+wh:/tmp/a=ro+wh /mnt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec.Target = args[0]
			opts, err := aufs.ParseOptions(spec.Options)
			if err != nil {
				return aufs.Explain(err)
			}
			for _, w := range opts.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "aufs:", w)
			}
			u, err := aufs.Mount(spec)
			if err != nil {
				return aufs.Explain(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: mounted by %s\n", u.Target, u.Kind)
			return nil
		},
	}
	cmd.Flags().StringVarP(&spec.Options, "options", "o", "", "mount options: br:PATH=PERM:..., noplink, dirperm1, udba=..., see aufs(5)")
	cmd.Flags().BoolVarP(&spec.ReadOnly, "read-only", "r", false, "mount read-only")
	cmd.Flags().BoolVar(&spec.ForceFUSE, "fuse", false, "use the FUSE server even where the kernel has aufs")
	cmd.MarkFlagRequired("options")
	return cmd
}

func newAufsBranches() *cobra.Command {
	return &cobra.Command{
		Use:   "branches TARGET",
		Short: "show the branch list as /sys/fs/aufs/si_* does",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := aufs.Find(args[0])
			if err != nil {
				return aufs.Explain(err)
			}
			s, err := u.State()
			if err != nil {
				return aufs.Explain(err)
			}
			printBranches(cmd.OutOrStdout(), u, s)
			return nil
		},
	}
}

func printBranches(w io.Writer, u *aufs.Union, s aufs.State) {
	fmt.Fprintf(w, "%s: served by %s, si_%s\n", u.Target, u.Kind, s.SI)
	for i, b := range s.Branches {
		fmt.Fprintf(w, "br%d\t%d\t%s=%s\n", i, b.ID, b.Path, b.Perm)
	}
}

func newAufsRemount() *cobra.Command {
	var options string
	cmd := &cobra.Command{
		Use:   "remount -o ACTIONS TARGET",
		Short: "change branches: append:, prepend:, add:INDEX:, del:, mod:",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := aufs.Find(args[0])
			if err == nil {
				err = u.Remount(options)
			}
			return aufs.Explain(err)
		},
	}
	cmd.Flags().StringVarP(&options, "options", "o", "", "actions, e.g. prepend:/tmp/new=rw,mod:/tmp/rw=ro+wh")
	return cmd
}

func newAufsUmount() *cobra.Command {
	return &cobra.Command{
		Use:   "umount TARGET",
		Short: "unmount a union and end its server",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := aufs.Find(args[0])
			if err == nil {
				err = u.Unmount()
			}
			if err != nil {
				return aufs.Explain(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: unmounted from %s\n", u.Target, u.Kind)
			return nil
		},
	}
}
