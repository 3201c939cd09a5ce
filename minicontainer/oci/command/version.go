package command

import (
	"fmt"
	"io"
	"runtime/debug"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// printVersion prints the lines that engines read of a runtime.
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
