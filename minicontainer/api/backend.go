package api

import (
	"context"
	"io"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/netdemo"
	"cutaway/unionfs/image"
	"cutaway/unionfs/image/registry"
	"cutaway/unionfs/layertar"
)

// Backend is what the command line can ask for, wherever the engine is: in this
// process, or in a daemon behind a socket.
type Backend interface {
	// Pull brings an image in that Create found to be missing.
	Pull(ctx context.Context, ref image.Reference, o registry.Options) (Pulled, error)
	Create(o minicontainer.Options) (*minicontainer.Container, error)
	Start(ref string, s *minicontainer.Streams) (Process, error) // nil for one that runs already
	Attach(ref string, s *minicontainer.Streams) (Process, error)
	Exec(ref string, o minicontainer.ExecOptions, s *minicontainer.Streams) (Process, error)

	Stop(ref string, seconds *int) error
	Restart(ref string, seconds *int) error
	Kill(ref string, sig unix.Signal) error
	Pause(ref string) error
	Unpause(ref string) error
	Rename(ref, name string) error
	Update(ref string, r minicontainer.Resources, policy *minicontainer.RestartPolicy) error
	Wait(ctx context.Context, ref string) (int, error)
	Remove(ref string, o minicontainer.RemoveOptions) error
	Prune(filters map[string][]string) (ids []string, bytes int64, err error)

	Inspect(ref string) (*minicontainer.Container, error)
	Details(ref string, size bool) (*minicontainer.Details, error)
	List(o minicontainer.ListOptions) ([]*minicontainer.Container, error)
	Sizes(ref string) (written, whole int64, err error)
	Top(ref string, args []string) (titles []string, rows [][]string, err error)
	Stats(ref string) (*minicontainer.Stats, error)
	Ports(ref string) ([]minicontainer.PortLine, error)
	Logs(ctx context.Context, ref string, o minicontainer.LogOptions, stdout, stderr io.Writer) error

	Diff(ref string) ([]layertar.Change, error)
	CommitID(ref string, o minicontainer.CommitOptions) (string, error)
	Export(ref string, w io.Writer) error
	StatPath(ref, name string) (minicontainer.PathStat, error)
	CopyFrom(ref, name string, w io.Writer) error
	CopyTo(ref, name string, tar io.Reader) error

	CreateNetwork(spec netdemo.NetworkSpec, labels map[string]string) (*minicontainer.NetworkRecord, error)
	ListNetworks() ([]*minicontainer.NetworkRecord, error)
	InspectNetwork(ref string) (*minicontainer.NetworkDetails, error)
	RemoveNetwork(ref string) error
	PruneNetworks() ([]string, error)
	ConnectNetwork(network, ref string, s minicontainer.EndpointSettings) error
	DisconnectNetwork(network, ref string) error

	Close() error
}

// Process is something that a shim runs for the caller.
type Process interface {
	Wait() (int, error)
	Resize(minicontainer.Size) error
	Close() error // what runs goes on
}

// Local is an engine in this process.
type Local struct{ *minicontainer.Engine }

// Start is Engine.Start.
func (l Local) Start(ref string, s *minicontainer.Streams) (Process, error) {
	return process(l.Engine.Start(ref, s))
}

// Attach is Engine.Attach.
func (l Local) Attach(ref string, s *minicontainer.Streams) (Process, error) {
	return process(l.Engine.Attach(ref, s))
}

// Exec is Engine.Exec.
func (l Local) Exec(ref string, o minicontainer.ExecOptions, s *minicontainer.Streams) (Process, error) {
	return process(l.Engine.Exec(ref, o, s))
}

// CommitID is Engine.Commit, and the id is all that the command line needs of it.
func (l Local) CommitID(ref string, o minicontainer.CommitOptions) (string, error) {
	img, err := l.Commit(ref, o)
	if err != nil {
		return "", err
	}
	return img.ImageID.String(), nil
}

// process keeps a nil session from becoming a process that is not nil.
func process(s *minicontainer.Session, err error) (Process, error) {
	if s == nil {
		return nil, err
	}
	return s, err
}

var _ Backend = Local{}
