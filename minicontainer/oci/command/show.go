package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"cutaway/minicontainer/oci"
)

func (c *call) state() *verb {
	v := newVerb("state", "<container-id>", "Print the state of a container as JSON", 1, 1)
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		return printJSON(c.out, box.Report(), "  ")
	}
	return v
}

func (c *call) features() *verb {
	v := newVerb("features", "", "Print what this runtime knows, as JSON", 0, 0)
	v.do = func([]string) error { return printJSON(c.out, oci.Features(), "    ") }
	return v
}

func printJSON(w io.Writer, v any, indent string) error {
	text, err := json.MarshalIndent(v, "", indent)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

func (c *call) list() *verb {
	v := newVerb("list", "", "List the containers of the state folder", 0, 0)
	format := v.String("format", "table", "table or json")
	v.letter("f", "format")
	quiet := v.Bool("quiet", false, "names only")
	v.letter("q", "quiet")
	v.do = func([]string) error {
		r, err := c.runtime()
		if err != nil {
			return err
		}
		all, err := r.List()
		if err != nil {
			return err
		}
		var reports []oci.Report
		for _, box := range all {
			reports = append(reports, box.Report())
		}
		return printList(c.out, reports, *format, *quiet)
	}
	return v
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
	rows := [][]string{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}}
	for _, r := range reports {
		rows = append(rows, []string{r.ID, strconv.Itoa(r.Pid), string(r.Status), r.Bundle, r.Created.Format(time.RFC3339Nano), ownerName(r.Owner)})
	}
	printColumns(w, rows, 12)
	return nil
}

func ownerName(id string) string {
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}

func (c *call) ps() *verb {
	v := newVerb("ps", "<container-id> [ps options]", "List the processes in a container", 1, many)
	v.passes = true
	format := v.String("format", "table", "table or json")
	v.letter("f", "format")
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		pids, err := box.Processes()
		if err != nil {
			return err
		}
		switch *format {
		case "json":
			return json.NewEncoder(c.out).Encode(pids)
		case "table":
			return psTable(c.out, pids, args[1:])
		}
		return errors.New("invalid format option")
	}
	return v
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
