package aufs

import (
	"os"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// FS is one union served over FUSE.
//
// Two locks order everything:
//   - tree: held for reading while a path is used, for writing while names
//     change. No file data is copied under it.
//   - mu: guards the tables for moments; nothing slow is done under it.
//
// The order is node.copying, tree, mu.
type FS struct {
	fuse.RawFileSystem // answers ENOSYS to what is not defined here

	opts   Options
	xiPath string
	prefix string // leads to the root directory that branch paths start from
	si     uint64 // the id in /sys/fs/aufs/si_<id>

	tree     sync.RWMutex
	branches []*branch // topmost first
	nextID   int       // of the next branch; the kernel starts at 64
	turn     int       // create=rr: whose turn it is

	mu      sync.Mutex
	nodes   map[uint64]*node
	root    *node
	inos    map[branchInode]uint64
	nextIno uint64
	handles map[uint64]*handle
	dirs    map[uint64]*dirHandle
	nextFh  uint64

	kernel kernel // talks back: cache invalidation, passthrough
}

// rootID is the node id that FUSE gives to the root; its inode number is 2.
const (
	rootID   = 1
	rootIno  = 2
	firstIno = 11
)

// New opens the branches, makes their base entries and returns a union that is
// not mounted yet. The text is what stands after -o.
func New(text string) (*FS, error) {
	opts, err := ParseOptions(text)
	if err != nil {
		return nil, err
	}
	fs := &FS{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		opts:          opts,
		si:            uint64(os.Getpid())<<32 ^ uint64(time.Now().UnixNano()),
		nextID:        64,
		nodes:         map[uint64]*node{},
		inos:          map[branchInode]uint64{},
		nextIno:       firstIno,
		handles:       map[uint64]*handle{},
		dirs:          map[uint64]*dirHandle{},
	}
	fs.root = &node{id: rootID, ino: rootIno, kind: unix.S_IFDIR, lookups: 1, children: map[string]*node{}, keep: -1}
	fs.nodes[rootID] = fs.root
	if err := fs.mountBranches(); err != nil {
		fs.Close()
		return nil, err
	}
	return fs, nil
}

// Close lets go of the branches.
func (fs *FS) Close() {
	for _, b := range fs.branches {
		b.close()
	}
	fs.branches = nil
}

// String names the file system in go-fuse's messages.
func (fs *FS) String() string { return "aufs" }

// cacheTime is how long the kernel may keep names and attributes without
// asking. With udba=none nobody else changes branches, so it may keep them
// for long; with notify every change by others must show at once; the default
// lies between: others are noticed after a second.
func (fs *FS) cacheTime() time.Duration {
	switch fs.opts.Udba {
	case "none":
		return time.Hour
	case "notify":
		return 0
	}
	return time.Second
}
