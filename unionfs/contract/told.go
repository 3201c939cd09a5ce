package contract

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

// story tells the chapters layer by layer and looks at every layer three times:
// as written, as mounted again, and as it came through its tar.
func (c Case) story(t *testing.T) {
	// umask would differ between writers; the judge needs exact modes.
	defer unix.Umask(unix.Umask(0o022))
	d, _ := c.open(t)
	plain := TempDir(t)
	written := look{sockets: true, xattrs: c.Lacks["xattr"] == ""}
	carried := look{seconds: true, xattrs: c.Lacks["xattr"] == ""}
	parent, copyParent := "", ""
	for i, ch := range storyOfLayers {
		id, copyID := fmt.Sprintf("layer%d", i), fmt.Sprintf("copy%d", i)
		before := scan(t, plain, written)
		if err := ch.write(plain, c.Lacks); err != nil {
			t.Fatalf("plain folder: %v", err)
		}
		after := scan(t, plain, written)
		c.tell(t, d, id, parent, ch)
		same(t, ch.name+", mounted again", c.scanLayer(t, d, id, written), after)
		c.judgeChanges(t, d, id, parent, changes(before, after))

		tar := diff(t, d, id, parent)
		c.apply(t, d, copyID, copyParent, tar)
		same(t, ch.name+", through its tar", c.scanLayer(t, d, copyID, carried), scan(t, plain, carried))
		if again := diff(t, d, copyID, copyParent); !bytes.Equal(again, tar) {
			t.Errorf("%s: Diff of the applied Diff has other bytes:\n%s", ch.name, cmp.Diff(listTar(t, tar), listTar(t, again)))
		}
		parent, copyParent = id, copyID
	}
}

// tell writes a chapter into a new layer.
func (c Case) tell(t *testing.T, d unionfs.Driver, id, parent string, ch chapter) {
	t.Helper()
	create(t, d, id, parent)
	with(t, d, id, func(root string) {
		if err := ch.write(root, c.Lacks); err != nil {
			t.Fatal(err)
		}
	})
}

func (c Case) scanLayer(t *testing.T, d unionfs.Driver, id string, l look) (found tree) {
	t.Helper()
	with(t, d, id, func(root string) { found = scan(t, root, l) })
	return found
}

func (c Case) judgeChanges(t *testing.T, d unionfs.Driver, id, parent string, want []string) {
	t.Helper()
	list, err := d.Changes(id, parent)
	if err != nil {
		t.Fatalf("Changes(%s, %s): %v", id, parent, err)
	}
	if diff := cmp.Diff(want, words(list)); diff != "" {
		t.Errorf("Changes(%s, %s) differ from the plain folder's (-plain +driver):\n%s", id, parent, diff)
	}
}

func (c Case) apply(t *testing.T, d unionfs.Driver, id, parent string, tar []byte) {
	t.Helper()
	create(t, d, id, parent)
	res, err := d.Apply(id, bytes.NewReader(tar), layertar.Limits{})
	if err != nil {
		t.Fatalf("Apply(%s): %v", id, err)
	}
	if len(res.Dropped) > 0 {
		t.Errorf("Apply(%s) dropped %v; want nothing dropped", id, res.Dropped)
	}
}

func create(t *testing.T, d unionfs.Driver, id, parent string) {
	t.Helper()
	if err := d.Create(id, parent, unionfs.CreateOptions{}); err != nil {
		t.Fatalf("Create(%s, %s): %v", id, parent, err)
	}
}

// with mounts a layer for the time of do.
func with(t *testing.T, d unionfs.Driver, id string, do func(root string)) {
	t.Helper()
	m, err := d.Mount(id, unionfs.MountOptions{})
	if err != nil {
		t.Fatalf("Mount(%s): %v %s", id, err, unionfs.Why(err))
	}
	defer func() {
		if err := m.Release(); err != nil {
			t.Errorf("Release(%s): %v", id, err)
		}
	}()
	do(m.Path)
}

// diff takes the layer's tar twice: equal trees must give equal bytes.
func diff(t *testing.T, d unionfs.Driver, id, parent string) []byte {
	t.Helper()
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := d.Diff(id, parent, w); err != nil {
			t.Fatalf("Diff(%s, %s): %v", id, parent, err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("Diff(%s, %s) gave other bytes the second time", id, parent)
	}
	return a.Bytes()
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
