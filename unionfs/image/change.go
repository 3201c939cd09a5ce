package image

import (
	"encoding/json"
	"strings"
	"sync"
)

// instructions are what commit --change and import --change take.
var instructions = sync.OnceValue(func() map[string]func(c *Config, arg string) {
	return map[string]func(c *Config, arg string){
		"CMD":        func(c *Config, arg string) { c.Cmd = words(arg) },
		"ENTRYPOINT": func(c *Config, arg string) { c.Entrypoint, c.Cmd = words(arg), nil },
		"ENV":        setEnv,
		"EXPOSE":     func(c *Config, arg string) { c.ExposedPorts = addKeys(c.ExposedPorts, ports(arg)) },
		"LABEL":      setLabels,
		"USER":       func(c *Config, arg string) { c.User = arg },
		"VOLUME":     func(c *Config, arg string) { c.Volumes = addKeys(c.Volumes, list(arg)) },
		"WORKDIR":    func(c *Config, arg string) { c.WorkingDir = arg },
	}
})

// words reads the JSON form ["a","b"]; anything else is a line for the shell.
func words(arg string) []string {
	var list []string
	if json.Unmarshal([]byte(arg), &list) == nil {
		return list
	}
	return []string{"/bin/sh", "-c", arg}
}

// list reads the JSON form or plain words.
func list(arg string) []string {
	var list []string
	if json.Unmarshal([]byte(arg), &list) == nil {
		return list
	}
	return strings.Fields(arg)
}

// ports adds the protocol where it is left out.
func ports(arg string) []string {
	ports := strings.Fields(arg)
	for i, p := range ports {
		if !strings.Contains(p, "/") {
			ports[i] = p + "/tcp"
		}
	}
	return ports
}

// addKeys copies the set before it adds: it may be the base image's.
func addKeys(set map[string]struct{}, keys []string) map[string]struct{} {
	all := make(map[string]struct{}, len(set)+len(keys))
	for k := range set {
		all[k] = struct{}{}
	}
	for _, k := range keys {
		all[k] = struct{}{}
	}
	return all
}

// setEnv takes KEY=VALUE, or KEY VALUE where the value is the rest of the line.
func setEnv(c *Config, arg string) {
	key, value, _ := pair(arg)
	env := make([]string, 0, len(c.Env)+1)
	for _, e := range c.Env {
		if !strings.HasPrefix(e, key+"=") {
			env = append(env, e)
		}
	}
	c.Env = append(env, key+"="+value)
}

func setLabels(c *Config, arg string) {
	labels := make(map[string]string, len(c.Labels)+1)
	for k, v := range c.Labels {
		labels[k] = v
	}
	key, value, _ := pair(arg)
	labels[key] = value
	c.Labels = labels
}

func pair(arg string) (key, value string, ok bool) {
	i := strings.IndexAny(arg, "= ")
	if i < 0 {
		return arg, "", false
	}
	return arg[:i], strings.Trim(strings.TrimSpace(arg[i+1:]), `"`), true
}
