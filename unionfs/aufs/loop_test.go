package aufs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// bytesOf is a request as the kernel sends it.
func bytesOf[T any](request T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&request)), unsafe.Sizeof(request))
}

func header(op uint32) fuse.InHeader { return fuse.InHeader{Opcode: op, NodeId: rootID} }

func TestTakesLong(t *testing.T) {
	needFUSE(t)
	rw, ro := t.TempDir(), t.TempDir()
	fs, err := New("br:" + rw + "=rw:" + ro + "=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	big := &handle{n: &node{layers: fs.branches[1:]}}
	small := &handle{n: &node{layers: fs.branches[1:]}}
	own := &handle{n: &node{layers: fs.branches[:1]}}
	for fh, h := range map[uint64]*handle{1: big, 2: small, 3: own} {
		f, err := os.Create(fmt.Sprintf("%s/%d", ro, fh))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		must(f.Truncate(map[uint64]int64{1: 10 << 20, 2: 100, 3: 10 << 20}[fh]))
		h.fd.Store(int32(f.Fd()))
		fs.handles[fh] = h
	}
	for _, c := range []struct {
		what    string
		request []byte
		want    bool
	}{
		{"half a header", make([]byte, 10), false},
		{"LOOKUP", bytesOf(header(1)), false},
		{"FSYNC", bytesOf(header(20)), true},
		{"RENAME", bytesOf(header(12)), true},
		{"a kind of tomorrow", bytesOf(header(1000)), true},
		{"OPEN", bytesOf(fuse.OpenIn{InHeader: header(opOpen)}), false},
		{"OPEN that empties", bytesOf(fuse.OpenIn{InHeader: header(opOpen), Flags: unix.O_WRONLY | unix.O_TRUNC}), true},
		{"READ of a page", bytesOf(fuse.ReadIn{InHeader: header(opRead), Size: 4096}), false},
		{"READ of much", bytesOf(fuse.ReadIn{InHeader: header(opRead), Size: 1 << 20}), true},
		{"WRITE to a big lower file", bytesOf(fuse.WriteIn{InHeader: header(opWrite), Fh: 1, Size: 1}), true},
		{"WRITE to a small lower file", bytesOf(fuse.WriteIn{InHeader: header(opWrite), Fh: 2, Size: 1}), false},
		{"WRITE to a file of the rw branch", bytesOf(fuse.WriteIn{InHeader: header(opWrite), Fh: 3, Size: 1}), false},
		{"WRITE of much", bytesOf(fuse.WriteIn{InHeader: header(opWrite), Fh: 3, Size: 1 << 20}), true},
	} {
		if got := fs.takesLong(c.request); got != c.want {
			t.Errorf("takesLong(%s) = %v; want %v", c.what, got, c.want)
		}
	}
}

// TestLongReads reads lower files whose ends do not fall on a page, by reads of
// all sizes: through the pipe, beside it, and past the end.
func TestLongReads(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		for _, size := range []int{0, 1, 4096, pipeFrom, pipeFrom + 1, pipeMost, pipeSize, 3<<20 + 17} {
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(rand.Uint32())
			}
			must(os.WriteFile(fmt.Sprintf("%s/f%d", l.ro, size), data, 0o644))
			path := fmt.Sprintf("%s/f%d", l.mnt, size)
			for _, direct := range []int{0, unix.O_DIRECT} {
				f, err := os.OpenFile(path, os.O_RDONLY|direct, 0)
				must(err)
				var got bytes.Buffer
				_, err = got.ReadFrom(f)
				must(err)
				f.Close()
				if !bytes.Equal(got.Bytes(), data) {
					t.Errorf("read of %d bytes, flags %#x: %d bytes, or other ones", size, direct, got.Len())
				}
			}
		}
	})
}

// TestManyAtOnce has more programs at work than the server has workers: each
// copies a file up and reads it back.
func TestManyAtOnce(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		l := newLab(t, dir, "")
		data := bytes.Repeat([]byte("cutaway!"), 25_000)
		for i := range 2 * maxWorkers {
			must(os.WriteFile(fmt.Sprintf("%s/f%d", l.ro, i), data, 0o644))
		}
		var all sync.WaitGroup
		for i := range 2 * maxWorkers {
			all.Go(func() {
				path := fmt.Sprintf("%s/f%d", l.mnt, i)
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
				must(err)
				_, err = f.WriteString("more")
				must(err)
				must(f.Sync())
				must(f.Close())
				if got, err := os.ReadFile(path); err != nil || len(got) != len(data)+4 {
					t.Errorf("%s has %d bytes, %v; want %d", path, len(got), err, len(data)+4)
				}
			})
		}
		all.Wait()
	})
}
