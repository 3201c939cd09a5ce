package oci

import (
	"errors"
	"io"
	"os"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/script"
	"cutaway/minicontainer/oci/seccomp"
)

// The stage as this program: it takes its orders from the wire and does from
// the inside what a visitor does elsewhere.

// order is all that it needs beside the spec itself. Descriptors are numbers:
// they were inherited. -1 is none.
type order struct {
	State    State              `json:"state"`
	Joins    bool               `json:"joins"`
	Tree     int                `json:"tree"`
	Sources  []int              `json:"sources"`
	Fifo     int                `json:"fifo"`
	Console  int                `json:"console"`
	Preserve int                `json:"preserve"`
	Keyring  bool               `json:"keyring"`
	Cgroups  []rootfs.Hierarchy `json:"cgroups"`
}

// sendOrders sends them, from outside.
func (s *stage) sendOrders() error {
	o := order{State: s.state, Joins: s.joins, Tree: number(s.tree), Fifo: number(s.fifo), Console: number(s.console),
		Preserve: s.preserve, Keyring: s.keyring, Cgroups: s.cgroups}
	for _, f := range s.sources {
		o.Sources = append(o.Sources, number(f))
	}
	spec := *s.spec
	spec.Process = s.process
	raw, err := FormatSpec(&spec)
	if err != nil {
		return err
	}
	return errors.Join(s.near.sendJSON(o), s.near.send(raw), s.near.send(s.filter.Encode()))
}

// beInit is the stage. It returns only with an error.
func beInit(w wire) error {
	b, err := takeOrders(w)
	if errors.Is(err, io.EOF) {
		os.Exit(0) // there was never an order: this process only held a namespace
	}
	if err != nil {
		return initError(err)
	}
	first := &script.Script{}
	b.arrive(first)
	for _, do := range []func() error{
		first.Perform,
		b.build,
		func() error { return away(b.rehearse) },
		func() error { return b.orders().Perform() },
	} {
		if err := do(); err != nil {
			return initError(err)
		}
	}
	return nil
}

// takeOrders waits for the runtime, which puts this process into its cgroups first.
func takeOrders(w wire) (*box, error) {
	var o order
	if err := w.receiveJSON(&o); err != nil {
		return nil, err
	}
	raw, err := w.receive()
	if err != nil {
		return nil, err
	}
	b := &box{state: o.State, joins: o.Joins, preserve: o.Preserve, keyring: o.Keyring, cgroups: o.Cgroups,
		tree: file(o.Tree, o.State.Rootfs), fifo: file(o.Fifo, "exec.fifo"), console: file(o.Console, "console"),
		wire: number(w.f), outside: asking{w}, stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}}
	if b.spec, err = parseSpec(raw, false); err != nil {
		return nil, err
	}
	for i, fd := range o.Sources {
		b.sources = append(b.sources, file(fd, b.spec.Mounts[i].Source))
	}
	filter, err := w.receive()
	if err != nil {
		return nil, err
	}
	if b.filter, err = seccomp.Decode(filter); err != nil {
		return nil, err
	}
	if b.proc, err = rootfs.OpenProc("/proc"); err != nil && !b.joins {
		return nil, err
	}
	return b, b.identify()
}

// file turns a number from the orders into a file.
func file(fd int, name string) *os.File {
	if fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), name)
}

// asking is the outside as one asks it from the inside.
type asking struct{ runtime wire }

func (a asking) runtimeHooks() error { return a.ask(reply{Ask: askHooks}) }
func (a asking) limits() error       { return a.ask(reply{Ask: askLimits}) }

// ask waits until the runtime has done something.
func (a asking) ask(what reply) error {
	if err := a.runtime.sendJSON(what); err != nil {
		return err
	}
	var done reply
	return a.runtime.receiveJSON(&done)
}
