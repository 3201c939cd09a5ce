package oci

import (
	"errors"
	"os"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
)

// Runtime makes and finds the containers of one state directory.
type Runtime struct {
	Root string      // the state directory, such as /run/cutaway/oci
	Warn func(error) // told what went wrong and does not matter; nil is nobody

	treesMu sync.Mutex
	trees   *cgroupdemo.Hierarchies // read once
}

// Options are what create needs beside the bundle.
type Options struct {
	Bundle        string      // folder of the bundle
	Loaded        *Bundle     // instead of a folder: one that this process has loaded or written
	Stdio         [3]*os.File // the container's; nil is this process's own
	ConsoleSocket string      // unix socket that gets the terminal's master side
	Front         bool        // the caller waits: a terminal is joined to its own
	PidFile       string      // gets the pid when the container is there
	Preserve      int         // so many descriptors from 3 on go to the container
	Cgroups       []string    // exec: groups below the container's, see groups.below
	NoNewKeyring  bool        // keep the caller's session keyring
	IgnorePaused  bool        // exec in a frozen container, where it waits to be thawed

	// Born is told the pid as soon as the namespaces are there, before anything is
	// built in them: what else has to be done to them can go on at the same time.
	Born func(pid int)
}

// Container is one that exists on disk, with its process or without.
type Container struct {
	State
	Spec *specs.Spec

	// Terminal joins it to the caller's, where Options.Front asked for that.
	Terminal *Terminal

	rt     *Runtime
	stage  *stage  // in the process that created it
	groups *groups // its cgroups, once they were looked at
}

// Open finds a container by name.
func (r *Runtime) Open(id string) (*Container, error) {
	st, err := r.store().load(id)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(r.store().dir(id) + "/config.json")
	if err != nil {
		return nil, err
	}
	spec, err := ParseSpec(raw)
	if err != nil {
		return nil, err
	}
	return &Container{State: *st, Spec: spec, rt: r}, nil
}

// List opens all containers. One that vanishes meanwhile is left out.
func (r *Runtime) List() ([]*Container, error) {
	ids, err := r.store().ids()
	if err != nil {
		return nil, err
	}
	var all []*Container
	for _, id := range ids {
		c, err := r.Open(id)
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			r.warn(err)
			continue
		}
		all = append(all, c)
	}
	return all, nil
}

func (r *Runtime) store() store { return store{r.Root} }

func (r *Runtime) warn(err error) {
	if r.Warn != nil && err != nil {
		r.Warn(err)
	}
}

// stdio fills in this process's own files.
func (o *Options) stdio() [3]*os.File {
	files := o.Stdio
	for i, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if files[i] == nil {
			files[i] = f
		}
	}
	return files
}
