package bundle

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
)

// InitPath is where --init puts this program into the container: on the tmpfs
// of /dev, so that the container's own files do not change by it.
const InitPath = "/dev/init"

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func makeProcess(c *minicontainer.Container, f Facts, sec *security) (*specs.Process, error) {
	h := &c.HostConfig
	caps, err := capabilities(h.CapAdd, h.CapDrop, h.Privileged, f.Kernel)
	if err != nil {
		return nil, err
	}
	args := append([]string{c.Path}, c.Args...)
	if h.Init != nil && *h.Init {
		args = append([]string{InitPath, "--"}, args...)
	}
	cwd := c.Config.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	limits, err := rlimits(h.Ulimits)
	if err != nil {
		return nil, err
	}
	score := h.OomScoreAdj
	return &specs.Process{
		Terminal:        c.Config.Tty,
		User:            f.User,
		Args:            args,
		Env:             environment(c),
		Cwd:             cwd,
		Capabilities:    capabilitySets(caps, f.User),
		Rlimits:         limits,
		NoNewPrivileges: sec.noNewPrivileges,
		OOMScoreAdj:     &score,
	}, nil
}

// environment begins with what every container has; the image's and the
// container's own variables win.
func environment(c *minicontainer.Container) []string {
	env := []string{"PATH=" + defaultPath, "HOSTNAME=" + c.Config.Hostname}
	if c.Config.Tty {
		env = append(env, "TERM=xterm")
	}
	return minicontainer.MergeEnv(env, c.Config.Env)
}

// ExecProcess is the process object for one more program in a container.
func ExecProcess(spec *specs.Spec, c *minicontainer.Container, o minicontainer.ExecOptions, user specs.User, kernel map[string]bool) (*specs.Process, error) {
	p := *spec.Process
	p.Args, p.Terminal, p.User = o.Cmd, o.Tty, user
	p.Env = minicontainer.MergeEnv(spec.Process.Env, o.Env)
	if o.Tty && !slices.ContainsFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, "TERM=") }) {
		p.Env = append(p.Env, "TERM=xterm")
	}
	if o.WorkingDir != "" {
		p.Cwd = o.WorkingDir
	}
	caps, err := capabilities(c.HostConfig.CapAdd, c.HostConfig.CapDrop, c.HostConfig.Privileged || o.Privileged, kernel)
	p.Capabilities = capabilitySets(caps, user)
	return &p, err
}

const rlimitNames = "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"

func rlimits(limits []minicontainer.Ulimit) ([]specs.POSIXRlimit, error) {
	var all []specs.POSIXRlimit
	for _, l := range limits {
		if !slices.Contains(strings.Fields(rlimitNames), l.Name) {
			return nil, &minicontainer.Invalid{Reason: "invalid ulimit type: " + l.Name}
		}
		// -1 is "unlimited": all bits set is what setrlimit(2) calls RLIM_INFINITY.
		all = append(all, specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(l.Name), Soft: uint64(l.Soft), Hard: uint64(l.Hard)})
	}
	return all, nil
}
