package image

import (
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"
	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

// Registering a layer leaves a trail that anybody can follow back:
//
//	1. layerdb/tmp/write-set-X/cache-id   "I am going to make this driver layer"
//	2. the driver's layer is made and filled
//	3. the other files are written into write-set-X
//	4. write-set-X is renamed to layerdb/sha256/<chain id>
//
// Killed before 4, the write-set names the driver's layer, and recover removes
// both. While the process lives it holds a flock on the write-set, so that
// recover leaves it alone.

// A writeSet is a layer on its way into layerdb.
type writeSet struct {
	store   *Store
	dir     string
	lock    *os.File
	cacheID string
}

// newWriteSet makes and locks one, under the store's lock: recover must not
// come between the two.
func (s *Store) newWriteSet() (w *writeSet, err error) {
	err = s.locked(func() error {
		w, err = s.makeWriteSet()
		return err
	})
	return w, err
}

func (s *Store) makeWriteSet() (*writeSet, error) {
	dir, err := os.MkdirTemp(s.path("layerdb/tmp"), "write-set-")
	if err != nil {
		return nil, err
	}
	w := &writeSet{store: s, dir: dir, cacheID: unionfs.NewID()}
	if w.lock, err = os.Open(dir); err == nil {
		err = unix.Flock(int(w.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		err = writeFile(filepath.Join(dir, "cache-id"), []byte(w.cacheID))
	}
	if err != nil {
		return nil, errors.Join(err, w.abort())
	}
	return w, nil
}

// abort takes back all that the write-set stands for.
func (w *writeSet) abort() error {
	defer w.lock.Close()
	err := w.store.Driver.Remove(w.cacheID)
	if err != nil {
		return err // the write-set stays, as the note of what to remove
	}
	return os.RemoveAll(w.dir)
}

// recover aborts the write-sets of dead processes.
func (s *Store) recover() error { return s.locked(s.abortDead) }

func (s *Store) abortDead() error {
	entries, err := os.ReadDir(s.path("layerdb/tmp"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := s.path("layerdb/tmp", e.Name())
		lock, err := os.Open(dir)
		if err != nil {
			continue // just renamed by its maker
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			lock.Close()
			continue // its maker lives
		}
		id, err := readMaybe(filepath.Join(dir, "cache-id"))
		if err == nil && len(id) > 0 {
			w := &writeSet{store: s, dir: dir, lock: lock, cacheID: string(id)}
			err = w.abort()
		} else {
			err = errors.Join(err, os.RemoveAll(dir))
			lock.Close()
		}
		if err != nil {
			return fmt.Errorf("take back the unfinished layer in %s: %w", dir, err)
		}
	}
	return nil
}

// RegisterOptions are about one layer to register.
type RegisterOptions struct {
	Parent digest.Digest // chain id of the layer below, "" for none
	Want   digest.Digest // the diff id that the tar must have, "" for any
	Limits layertar.Limits
}

// Register takes in a layer tar, plain or gzip, on top of a parent. After an
// error the store is as it was.
func (s *Store) Register(tar io.Reader, opts RegisterOptions) (Layer, error) {
	below := Layer{}
	if opts.Parent != "" {
		var err error
		if below, err = s.Layer(opts.Parent); err != nil {
			return Layer{}, err
		}
	}
	w, err := s.newWriteSet()
	if err != nil {
		return Layer{}, err
	}
	l, err := w.take(tar, below, opts)
	if err != nil {
		return Layer{}, errors.Join(fmt.Errorf("register layer: %w", err), w.abort())
	}
	return w.commit(l)
}

// take fills the driver's layer while it computes the diff id and keeps the
// tar's skeleton.
func (w *writeSet) take(tar io.Reader, below Layer, opts RegisterOptions) (Layer, error) {
	plain, err := Decompress(tar, opts.Limits)
	if err != nil {
		return Layer{}, err
	}
	if err := w.store.Driver.Create(w.cacheID, below.CacheID, unionfs.CreateOptions{}); err != nil {
		return Layer{}, err
	}
	sum := sha256.New()
	res, err := w.unpack(io.TeeReader(plain, sum), opts.Limits)
	if err != nil {
		return Layer{}, err
	}
	l := Layer{DiffID: digestOf(sum), Parent: below.ChainID, CacheID: w.cacheID, Size: res.Bytes}
	if opts.Want != "" && l.DiffID != opts.Want {
		return Layer{}, fmt.Errorf("the tar has the diff id %s; the image says %s: damaged, or not what it claims to be", l.DiffID, opts.Want)
	}
	l.ChainID = NextChainID(l.Parent, l.DiffID)
	return l, w.describe(l)
}

func digestOf(h hash.Hash) digest.Digest { return digest.NewDigest(digest.SHA256, h) }

// unpack sends the tar through tar-split, which notes all but the files'
// contents, to the driver.
func (w *writeSet) unpack(plain io.Reader, limits layertar.Limits) (layertar.Result, error) {
	f, err := os.OpenFile(filepath.Join(w.dir, "tar-split.json.gz"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return layertar.Result{}, err
	}
	defer f.Close()
	zip, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return layertar.Result{}, err
	}
	split, done, err := asm.NewInputTarStreamWithDone(plain, storage.NewJSONPacker(zip), storage.NewDiscardFilePutter())
	if err != nil {
		return layertar.Result{}, err
	}
	res, err := w.store.Driver.Apply(w.cacheID, split, limits)
	if err != nil {
		split.Close()
		<-done // until then the tar is still being read
		return res, err
	}
	return res, errors.Join(<-done, zip.Close(), f.Sync())
}

// describe writes layerdb's files.
func (w *writeSet) describe(l Layer) error {
	files := map[string]string{"diff": l.DiffID.String(), "size": strconv.FormatInt(l.Size, 10)}
	if l.Parent != "" {
		files["parent"] = l.Parent.String()
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commit renames the write-set to its chain id. If that is taken, somebody else
// brought the same layer meanwhile, and ours is not needed.
func (w *writeSet) commit(l Layer) (Layer, error) {
	err := os.Rename(w.dir, w.store.layerDir(l.ChainID))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		if err := w.abort(); err != nil {
			return Layer{}, err
		}
		return w.store.Layer(l.ChainID)
	}
	if err != nil {
		return Layer{}, errors.Join(err, w.abort())
	}
	return l, w.lock.Close()
}

// Decompress looks at the first bytes and takes gzip away; a plain tar passes
// through. Other compressions are named and refused.
func Decompress(r io.Reader, limits layertar.Limits) (io.Reader, error) {
	count := &counter{r: r}
	br := newPeeker(count)
	head, _ := br.Peek(6)
	switch h := string(head); {
	case strings.HasPrefix(h, "\x1f\x8b"):
		zip, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return layertar.RatioReader(zip, count.total, limits), nil
	case strings.HasPrefix(h, "\x28\xb5\x2f\xfd"):
		return nil, errors.New("the layer is compressed with zstd, which is not supported; convert it with `skopeo copy --dest-compress-format gzip`")
	case strings.HasPrefix(h, "BZh"), strings.HasPrefix(h, "\xfd7zXZ"):
		return nil, errors.New("the tar is compressed with bzip2 or xz; unpack it first, or use gzip")
	}
	return br, nil
}
