package main

import (
	"fmt"
	"io"
	"runtime/debug"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer/oci/command"
)

func init() { command.PrintVersion = printVersion }

// printVersion is for engines, which ask their runtimes.
func printVersion(w io.Writer) {
	version, commit := "(devel)", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	fmt.Fprintf(w, "cutaway version %s\ncommit: %s\nspec: %s\n", version, commit, specs.Version)
}
