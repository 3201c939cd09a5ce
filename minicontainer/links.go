package minicontainer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A link (--link CONTAINER[:ALIAS]) gives another container's address a name in
// /etc/hosts. On networks that somebody made, names do that; on "bridge" links are
// all that there is, and are kept by id: a rename changes nothing. Whoever is linked
// to a container is noted below RUN/links/CONTAINER while it runs, so that the
// container can tell it of a new address without asking everybody.

// SplitLink reads --link; without an alias it is the container's name.
func SplitLink(link string) (ref, alias string) {
	ref, alias, found := strings.Cut(strings.TrimPrefix(link, "/"), ":")
	if !found {
		alias = ref
	}
	return ref, alias
}

// linksByID: is it made for the network "bridge"?
func (h *HostConfig) linksByID() bool {
	return h.NetworkMode == "" || h.NetworkMode == "default" || h.NetworkMode == "bridge"
}

// resolveLinks replaces the containers' names by their ids.
func (e *Engine) resolveLinks(h *HostConfig) error {
	if !h.linksByID() {
		return nil
	}
	for i, link := range h.Links {
		ref, alias := SplitLink(link)
		id, err := e.resolve(ref)
		if err != nil {
			return fmt.Errorf("could not get container for %s: %w", ref, err)
		}
		h.Links[i] = id + ":" + alias
	}
	return nil
}

// linksNow are the links as Docker shows them: /CONTAINER:/ONE'S OWN NAME/ALIAS.
func (e *Engine) linksNow(c *Container) []string {
	all := slices.Clone(c.HostConfig.Links)
	for i, link := range all {
		ref, alias := SplitLink(link)
		if other, err := e.Inspect(ref); err == nil {
			all[i] = other.Name + ":" + c.Name + "/" + alias
		}
	}
	return all
}

func (e *Engine) linkersDir(id string) string { return filepath.Join(e.run, "links", id) }

// NoteLinks notes at whatever c is linked to that c wants to know of new addresses.
// An error names a container that does not run: it has no address.
func (e *Engine) NoteLinks(c *Container) error {
	for _, link := range c.HostConfig.Links {
		ref, alias := SplitLink(link)
		other, err := e.Inspect(ref)
		if err != nil {
			return fmt.Errorf("could not get container for %s: %w", ref, err)
		}
		if !other.State.Running || other.NetworkSettings.Networks["bridge"] == nil {
			return fmt.Errorf("cannot link to a non running container: %s AS %s", other.Name, c.Name+"/"+alias)
		}
		if err := os.MkdirAll(filepath.Join(e.linkersDir(other.ID), c.ID), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) dropLinks(c *Container) error {
	if !c.HostConfig.linksByID() {
		return nil
	}
	var err error
	for _, link := range c.HostConfig.Links {
		id, _ := SplitLink(link)
		if own := os.Remove(filepath.Join(e.linkersDir(id), c.ID)); !errors.Is(own, os.ErrNotExist) {
			err = errors.Join(err, own)
		}
		os.Remove(e.linkersDir(id)) // fails while another one is linked to it
	}
	return err
}

// TellLinkers has those that are linked to the container write its address anew.
// One that does not answer has died, and is forgotten.
func (e *Engine) TellLinkers(id string) {
	entries, _ := os.ReadDir(e.linkersDir(id)) // mostly there is none
	for _, entry := range entries {
		if e.ask(entry.Name(), Request{Names: true}) != nil {
			os.Remove(filepath.Join(e.linkersDir(id), entry.Name()))
		}
	}
}
