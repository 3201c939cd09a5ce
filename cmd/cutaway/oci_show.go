package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cutaway/minicontainer/oci"
)

func (f *ociFlags) state() *cobra.Command {
	return &cobra.Command{
		Use:   "state <container-id>",
		Short: "Print the state of a container as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.open(args)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), c.Report(), "  ")
		},
	}
}

func printJSON(w io.Writer, v any, indent string) error {
	text, err := json.MarshalIndent(v, "", indent)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

func (f *ociFlags) list() *cobra.Command {
	var format string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the containers of the state folder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.runtime()
			if err != nil {
				return err
			}
			all, err := r.List()
			if err != nil {
				return err
			}
			var reports []oci.Report
			for _, c := range all {
				reports = append(reports, c.Report())
			}
			return printList(cmd.OutOrStdout(), reports, format, quiet)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "table or json")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "names only")
	return cmd
}

func printList(w io.Writer, reports []oci.Report, format string, quiet bool) error {
	switch {
	case quiet:
		for _, r := range reports {
			fmt.Fprintln(w, r.ID)
		}
		return nil
	case format == "json":
		return json.NewEncoder(w).Encode(reports)
	case format != "table":
		return errors.New("invalid format option")
	}
	t := tabwriter.NewWriter(w, 12, 1, 3, ' ', 0)
	fmt.Fprint(t, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, r := range reports {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.Pid, r.Status, r.Bundle, r.Created.Format(time.RFC3339Nano), ownerName(r.Owner))
	}
	return t.Flush()
}

func ownerName(id string) string {
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}

func (f *ociFlags) ps() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "ps <container-id> [ps options]",
		Short: "List the processes in a container",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.open(args)
			if err != nil {
				return err
			}
			pids, err := c.Processes()
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return json.NewEncoder(cmd.OutOrStdout()).Encode(pids)
			case "table":
				return psTable(cmd.OutOrStdout(), pids, args[1:])
			}
			return errors.New("invalid format option")
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVarP(&format, "format", "f", "table", "table or json")
	return cmd
}

// psTable keeps the lines of ps(1) that are about the container's processes.
func psTable(w io.Writer, pids []int, options []string) error {
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	out, err := exec.Command("ps", options...).Output()
	if err != nil {
		return fmt.Errorf("ps %s: %w", strings.Join(options, " "), err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	column := slices.Index(strings.Fields(lines[0]), "PID")
	if column < 0 {
		return errors.New("couldn't find PID field in ps output")
	}
	fmt.Fprintln(w, lines[0])
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			fmt.Fprintln(w, line)
		}
	}
	return nil
}

// spec writes config.json as a start.
func (f *ociFlags) spec() *cobra.Command {
	var bundle string
	var rootless bool
	cmd := &cobra.Command{
		Use:   "spec",
		Short: "Write a config.json to begin with",
		Args:  cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			text, err := json.MarshalIndent(oci.Example(rootless), "", "\t")
			if err != nil {
				return err
			}
			path := bundle + "/config.json"
			file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("file %s exists. Remove it first", path)
			}
			if err != nil {
				return err
			}
			_, err = file.Write(text)
			return errors.Join(err, file.Close())
		},
	}
	cmd.Flags().StringVarP(&bundle, "bundle", "b", ".", "folder to write it to")
	cmd.Flags().BoolVar(&rootless, "rootless", false, "for an ordinary user, in a user namespace")
	return cmd
}
