package minicontainer

import (
	"maps"
	"slices"
	"strings"
)

// mergeConfig fills in from the image what the container's configuration leaves
// open, by Docker's rules. The one that surprises: an entrypoint of the
// container's own makes the image's command go, for the two belong together.
func mergeConfig(c *Config, img *Config) {
	if img == nil {
		return
	}
	if c.User == "" {
		c.User = img.User
	}
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = slices.Clone(img.Cmd)
		}
		if c.Entrypoint == nil {
			c.Entrypoint = slices.Clone(img.Entrypoint)
		}
	}
	if len(c.Entrypoint) == 1 && c.Entrypoint[0] == "" { // --entrypoint "": none at all
		c.Entrypoint = nil
	}
	if c.WorkingDir == "" {
		c.WorkingDir = img.WorkingDir
	}
	if c.StopSignal == "" {
		c.StopSignal = img.StopSignal
	}
	if c.StopTimeout == nil {
		c.StopTimeout = img.StopTimeout
	}
	c.Env = MergeEnv(img.Env, c.Env)
	c.ExposedPorts = union(img.ExposedPorts, c.ExposedPorts)
	c.Labels = union(img.Labels, c.Labels)
	c.Volumes = union(img.Volumes, c.Volumes)
}

func union[V any](below, above map[string]V) map[string]V {
	all := maps.Clone(below)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, above)
	return all
}

// MergeEnv puts variables over others. A name without "=" takes the variable
// out.
func MergeEnv(below, above []string) []string {
	var order []string
	values := map[string]string{}
	for _, list := range [][]string{below, above} {
		for _, entry := range list {
			name, _, set := strings.Cut(entry, "=")
			if _, known := values[name]; !known {
				order = append(order, name)
			}
			if values[name] = entry; !set {
				values[name] = ""
			}
		}
	}
	var env []string
	for _, name := range order {
		if values[name] != "" {
			env = append(env, values[name])
		}
	}
	return env
}

// command splits entrypoint and command into the program and its arguments.
func command(c *Config) (string, []string, error) {
	all := slices.Concat(c.Entrypoint, c.Cmd)
	if len(all) == 0 {
		return "", nil, invalidf("No command specified")
	}
	return all[0], all[1:], nil
}
