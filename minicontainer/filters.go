package minicontainer

import (
	"slices"
	"strconv"
	"strings"
)

type filter func(*Container) bool

// parseFilters reads the filters of `ps`. Those of one name are alternatives;
// those of different names must all agree. Labels must all be there.
func (e *Engine) parseFilters(filters map[string][]string) (filter, error) {
	var all []filter
	for name, values := range filters {
		var any []filter
		for _, value := range values {
			f, err := e.parseFilter(name, value)
			if err != nil {
				return nil, err
			}
			any = append(any, f)
		}
		if name == "label" {
			all = append(all, any...)
			continue
		}
		all = append(all, func(c *Container) bool {
			return slices.ContainsFunc(any, func(f filter) bool { return f(c) })
		})
	}
	return func(c *Container) bool {
		return !slices.ContainsFunc(all, func(f filter) bool { return !f(c) })
	}, nil
}

var statuses = []string{"created", "restarting", "running", "removing", "paused", "exited", "dead"}

func (e *Engine) parseFilter(name, value string) (filter, error) {
	switch name {
	case "id":
		return func(c *Container) bool { return strings.HasPrefix(c.ID, value) }, nil
	case "name":
		return func(c *Container) bool { return strings.Contains(c.PlainName(), strings.TrimPrefix(value, "/")) }, nil
	case "label":
		key, want, exact := strings.Cut(value, "=")
		return func(c *Container) bool {
			have, there := c.Config.Labels[key]
			return there && (!exact || have == want)
		}, nil
	case "status":
		if !slices.Contains(statuses, value) {
			return nil, invalidf("Invalid filter 'status=%s'", value)
		}
		return func(c *Container) bool { return c.State.Status() == value }, nil
	case "exited":
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, invalidf("Invalid filter 'exited=%s'", value)
		}
		return func(c *Container) bool { return c.State.Status() == "exited" && c.State.ExitCode == code }, nil
	case "ancestor":
		return e.ancestorFilter(value), nil
	case "volume":
		return func(c *Container) bool {
			return slices.ContainsFunc(c.MountPoints, func(m MountPoint) bool { return m.Name == value || m.Destination == value })
		}, nil
	case "network":
		return func(c *Container) bool { return c.NetworkSettings.Networks[value] != nil }, nil
	case "before", "since":
		return e.orderFilter(name, value)
	}
	return nil, invalidf("Invalid filter '%s'", name)
}

// ancestorFilter keeps containers of an image, or of one that was made from it.
func (e *Engine) ancestorFilter(name string) filter {
	img, err := e.Images.Resolve(name)
	if err != nil {
		return func(*Container) bool { return false }
	}
	return func(c *Container) bool {
		for id := c.Image; id != ""; {
			if id == img.ImageID {
				return true
			}
			parent, err := e.Images.Parent(id)
			if err != nil {
				return false
			}
			id = parent
		}
		return false
	}
}

func (e *Engine) orderFilter(name, ref string) (filter, error) {
	id, err := e.resolve(ref)
	if err != nil {
		return nil, err
	}
	mark, err := e.load(id)
	if err != nil {
		return nil, err
	}
	if name == "before" {
		return func(c *Container) bool { return c.Created.Before(mark.Created) }, nil
	}
	return func(c *Container) bool { return c.Created.After(mark.Created) }, nil
}
