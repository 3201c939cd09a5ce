package netdemo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ModeKind is one of the four answers to "whose network does the container get?"
type ModeKind string

// The four modes of docker run --network. A network that was made by name counts as ModeBridge.
const (
	ModeNone      ModeKind = "none"      // a namespace of its own, with lo and nothing else
	ModeHost      ModeKind = "host"      // the host's namespace
	ModeContainer ModeKind = "container" // another container's namespace
	ModeBridge    ModeKind = "bridge"    // a namespace of its own, joined to a network
)

// Mode is a parsed docker run --network.
type Mode struct {
	Kind      ModeKind
	Container string // ModeContainer: whose namespace
	Network   string // ModeBridge: which network
}

// ParseMode reads "none", "host", "container:NAME", "bridge", or the name of a network.
func ParseMode(text string) (Mode, error) {
	switch kind, name, _ := strings.Cut(text, ":"); {
	case text == string(ModeNone) || text == string(ModeHost):
		return Mode{Kind: ModeKind(text)}, nil
	case kind == string(ModeContainer) && name != "":
		return Mode{Kind: ModeContainer, Container: name}, nil
	case validName(text) && text != string(ModeContainer):
		return Mode{Kind: ModeBridge, Network: text}, nil
	}
	return Mode{}, &Error{Op: "parse network mode", Subject: strconv.Quote(text),
		Err: fmt.Errorf("%w: none, host, container:NAME or the name of a network", ErrInvalid)}
}

// Namespaces puts the mode in the words of the OCI runtime spec: no entry of type "network" means the
// runtime's own (the host's), an entry without a path a new one, with a path that one. other is the
// path of the other container's namespace for ModeContainer.
func (m Mode) Namespaces(other string) []specs.LinuxNamespace {
	switch m.Kind {
	case ModeHost:
		return nil
	case ModeContainer:
		return []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: other}}
	}
	return []specs.LinuxNamespace{{Type: specs.NetworkNamespace}}
}
