package layertar

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Form says what a deletion becomes on disk.
type Form int

const (
	Execute Form = iota // deletions are carried out on a whole tree
	Overlay             // character device 0:0 and an opaque xattr (overlayfs.rst)
	AUFS                // ".wh." files as they are
)

// ApplyOptions say how a layer is brought onto disk.
type ApplyOptions struct {
	Form Form
	// UserXattr writes user.overlay.* in place of trusted.overlay.*, as the
	// overlay mount option userxattr wants it. For stores in a user namespace.
	UserXattr bool
	Limits    Limits
}

// Result counts what Apply did.
type Result struct {
	Entries int64
	Bytes   int64    // files' contents and links' targets: what Docker calls a layer's size
	Dropped []string // "path: xattr" that this file system could not keep (ENOTSUP, EPERM)
}

// Apply unpacks a layer tar below the folder root, which must exist. It stops at
// the first entry that is hostile, broken or over a limit; what was unpacked so
// far stays for the caller to remove with the folder.
func Apply(root string, r io.Reader, opts ApplyOptions) (Result, error) {
	a, err := newApplier(root, opts)
	if err != nil {
		return Result{}, err
	}
	defer a.close()
	// A large buffer, for tar.Reader asks for 512 bytes at a time.
	in := bufio.NewReaderSize(r, 256<<10)
	if err := a.entries(tar.NewReader(in)); err != nil {
		return a.result, fmt.Errorf("apply layer to %s: %w", root, err)
	}
	// Some senders pad after the end mark. Whoever computes a digest over the
	// stream needs to have read it all.
	if _, err := io.Copy(io.Discard, in); err != nil {
		return a.result, fmt.Errorf("apply layer to %s: after the last entry: %w", root, err)
	}
	return a.result, nil
}

// applier is the state of one Apply.
type applier struct {
	opts   ApplyOptions
	result Result
	dirs   *dirCache
	buf    []byte
	// times holds folders' modification times until the end: every entry made
	// inside a folder would change it again.
	times []folderTime
	// made holds the names that this layer brought. An opaque mark deletes what
	// the layers below have, but not these, wherever in the tar it stands.
	made map[string]bool
	// hid holds the names that this layer whited out. A folder made again under
	// such a name starts empty.
	hid map[string]bool
	// stale says that the cached folders may be gone. It is acted upon before the
	// next entry, since the one at work still uses a descriptor of the cache.
	stale bool
	// uid and gid that new files get by themselves, to save a chown on each.
	uid, gid int
}

type folderTime struct {
	name string
	time [2]unix.Timespec
}

func newApplier(root string, opts ApplyOptions) (*applier, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open layer root %s: %w", root, err)
	}
	opts.Limits = opts.Limits.withDefaults()
	return &applier{
		opts: opts,
		dirs: newDirCache(fd),
		buf:  make([]byte, 256<<10),
		made: make(map[string]bool),
		hid:  make(map[string]bool),
		uid:  os.Geteuid(),
		gid:  os.Getegid(),
	}, nil
}

func (a *applier) close() { a.dirs.close() }

func (a *applier) entries(tr *tar.Reader) error {
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			a.dirs.forget()
			return a.setFolderTimes()
		}
		if err != nil {
			return fmt.Errorf("read tar: %w", err)
		}
		a.result.Entries++
		a.result.Bytes += size(hdr)
		if err := a.opts.Limits.check(a.result); err != nil {
			return err
		}
		if a.stale || a.dirs.full() {
			a.dirs.forget() // here, and nowhere else: no descriptor of it is in use
			a.stale = false
		}
		if err := a.entry(hdr, tr); err != nil {
			return err
		}
	}
}

// size is what an entry adds to the layer's size.
func size(hdr *tar.Header) int64 {
	if hdr.Typeflag == tar.TypeSymlink {
		return int64(len(hdr.Linkname))
	}
	return hdr.Size
}
