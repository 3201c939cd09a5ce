package unionfs

import (
	"io"

	"cutaway/unionfs/layertar"
)

// A Driver keeps layers below one folder (its home) and shows a stack of them
// as one tree. Ids are names of one path component (see CheckID); the parent of
// a bottom layer is "".
//
// All methods may be used by several goroutines, and by several processes that
// opened the same home: a layer appears and disappears by rename(2), never bit
// by bit.
type Driver interface {
	// Name is Docker's name of the driver, such as "overlay2".
	Name() string

	// Home is the driver's folder, such as /var/lib/cutaway/overlay2.
	Home() string

	// Create makes an empty layer on top of parent, "" for none. It fails with
	// fs.ErrExist for a known id and fs.ErrNotExist for an unknown parent.
	Create(id, parent string, opts CreateOptions) error

	// Remove deletes a layer and what is left of an interrupted Create. An
	// unknown id is no error, for a clean-up may run twice. A layer that is
	// mounted gives EBUSY. That no layer above still needs it is the caller's
	// knowledge: drivers that share nothing could not tell.
	Remove(id string) error

	// Exists says whether a finished layer of this id is there.
	Exists(id string) bool

	// List names the finished layers, sorted.
	List() ([]string, error)

	// Mount shows the layer with all layers below it as one tree. Two mounts
	// of one layer share one kernel mount; the last Release takes it away.
	Mount(id string, opts MountOptions) (*Mount, error)

	// Apply puts a layer tar (AUFS form: ".wh." names) into a layer. Whiteouts
	// become what this driver's kernel file system understands. After an error
	// the layer is in no useful state and must be removed.
	Apply(id string, tar io.Reader, limits layertar.Limits) (layertar.Result, error)

	// Diff writes what id has other than parent as a layer tar. Equal trees
	// give equal bytes.
	Diff(id, parent string, tar io.Writer) error

	// Changes lists what id has other than parent, sorted by path, as
	// `docker diff` does.
	Changes(id, parent string) ([]layertar.Change, error)

	// DiffSize counts the bytes of the files that id has other than parent.
	DiffSize(id, parent string) (int64, error)

	// Metadata is what `docker inspect` shows as GraphDriver.Data, such as
	// LowerDir and UpperDir.
	Metadata(id string) (map[string]string, error)

	// Status lists facts about the store in the order to show them, as
	// `docker info` does.
	Status() []Fact

	// Close gives back what Open took. Mounts that callers still hold stay.
	Close() error
}

// CreateOptions are the wishes for one new layer.
type CreateOptions struct {
	// Size limits the bytes that the layer may hold, 0 for no limit. A driver
	// or file system that cannot do it answers with *Unsupported.
	Size uint64
}

// MountOptions are the wishes for one mount.
type MountOptions struct {
	// ReadOnly mounts without a writable layer where the driver can.
	ReadOnly bool
	// Label is an SELinux mount label (context="..."), "" for none.
	Label string
}

// A Fact is one line of Status.
type Fact struct{ Name, Value string }
