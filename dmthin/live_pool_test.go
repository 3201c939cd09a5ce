package dmthin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/needs"
)

const (
	mib   = 1 << 20
	block = 64 << 10
)

// loopPool starts a pool of 64 MiB on two files.
func loopPool(t testing.TB, c *dmthin.Control, spec dmthin.PoolSpec) *dmthin.Pool {
	t.Helper()
	return poolOn(t, c, filepath.Join(t.TempDir(), "devicemapper"), 64*mib, spec)
}

func poolOn(t testing.TB, c *dmthin.Control, dir string, size uint64, spec dmthin.PoolSpec) *dmthin.Pool {
	t.Helper()
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: dir, Data: size, Metadata: dmthin.MetadataSize(size, 128),
		Options: dmthin.LoopOptions{Autoclear: true}})
	must(t, err)
	spec.Name = "cutaway-pool"
	p, err := dmthin.StartPool(c, store, spec)
	if err != nil {
		t.Fatal(errors.Join(err, store.Close()))
	}
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

func status(t testing.TB, p *dmthin.Pool) dmthin.PoolStatus {
	t.Helper()
	s, err := p.Status()
	must(t, err)
	return s
}

func activate(t testing.TB, p *dmthin.Pool, id uint32, size uint64) string {
	t.Helper()
	node, err := p.Activate(fmt.Sprintf("cutaway-thin-%d", id), id, size)
	must(t, err)
	return node
}

// The story of a base, a layer and a container: blocks are taken on write, and
// shared until written.
func TestLiveThin(t *testing.T) {
	p := loopPool(t, control(t), dmthin.PoolSpec{})
	if s := status(t, p); s.Mode != dmthin.PoolReadWrite || s.Data != (dmthin.Usage{Total: 1024}) || s.Metadata.Total != 512 {
		t.Errorf("status of a new pool = %+v; want rw, 0/1024 data blocks, 512 metadata blocks", s)
	}
	must(t, p.CreateThin(1))
	base := activate(t, p, 1, 10<<30)
	if s := status(t, p); s.Data.Used != 0 {
		t.Errorf("a thin device of 10 GiB takes %d blocks; want 0", s.Data.Used)
	}
	must(t, put(base, 0, []byte("BASE")))
	must(t, put(base, 5<<30, []byte("FAR")))
	if s := status(t, p); s.Data.Used != 2 {
		t.Errorf("two small writes take %d blocks; want 2", s.Data.Used)
	}
	must(t, p.CreateSnap(2, 1))
	layer := activate(t, p, 2, 10<<30)
	if s := status(t, p); s.Data.Used != 2 {
		t.Errorf("with a snapshot the pool uses %d blocks; want 2 as before", s.Data.Used)
	}
	must(t, put(layer, 0, []byte("SNAP")))
	if a, b := string(get(t, base, 0, 4)), string(get(t, layer, 0, 4)); a != "BASE" || b != "SNAP" {
		t.Errorf("base reads %s, its snapshot %s; want BASE and SNAP", a, b)
	}
	if got := string(get(t, layer, 5<<30, 3)); got != "FAR" {
		t.Errorf("what was not written reads %q in the snapshot; want FAR", got)
	}
	checkSharing(t, p, map[uint32]dmthin.Sharing{1: {Mapped: 2, Exclusive: 1}, 2: {Mapped: 2, Exclusive: 1}})
	thin, err := p.ThinStatus("cutaway-thin-2")
	if err != nil || thin.Mapped != 256 {
		t.Errorf("ThinStatus = %+v, %v; want 256 sectors", thin, err)
	}
	must(t, dmthin.Discard(layer, 0, block))
	checkSharing(t, p, map[uint32]dmthin.Sharing{1: {Mapped: 2, Exclusive: 1}, 2: {Mapped: 1}})
	must(t, p.Deactivate("cutaway-thin-2"))
	must(t, p.Delete(2))
	if s := status(t, p); s.Data.Used != 2 {
		t.Errorf("after the snapshot is gone %d blocks are used; want the base's 2", s.Data.Used)
	}
}

func checkSharing(t testing.TB, p *dmthin.Pool, want map[uint32]dmthin.Sharing) {
	t.Helper()
	m, err := p.Mappings()
	must(t, err)
	if diff := cmp.Diff(want, m.Sharing()); diff != "" {
		t.Errorf("sharing (-want +got):\n%s", diff)
	}
	if s := status(t, p); s.MetadataRoot != 0 {
		t.Errorf("a metadata snapshot stays behind at block %d", s.MetadataRoot)
	}
}

// The errnos that users of a pool rely on.
func TestLiveErrnos(t *testing.T) {
	c := control(t)
	p := loopPool(t, c, dmthin.PoolSpec{})
	must(t, p.CreateThin(1))
	wantErrno(t, "CreateThin(1) again", p.CreateThin(1), unix.EEXIST)
	wantErrno(t, "CreateSnap(1, 1)", p.CreateSnap(1, 1), unix.EEXIST)
	wantErrno(t, "CreateSnap(2, 9)", p.CreateSnap(2, 9), unix.ENODATA)
	wantErrno(t, "Delete(9)", p.Delete(9), unix.ENODATA)
	wantErrno(t, "CreateThin(1<<24)", p.CreateThin(1<<24), unix.EINVAL)
	wantErrno(t, "Deactivate(none)", p.Deactivate("cutaway-none"), unix.ENXIO)
	_, err := p.Activate("cutaway-nine", 9, mib)
	wantErrno(t, "Activate(9)", err, unix.ENODATA)
	activate(t, p, 1, mib)
	wantErrno(t, "Delete of an active one", p.Delete(1), unix.EBUSY)
	_, err = p.Activate("cutaway-twice", 1, mib)
	wantErrno(t, "Activate under two names", err, unix.EBUSY)
	left := activate(t, p, 1, 2*mib) // nobody has it open: as if a process had died
	f, err := os.Open(left)
	must(t, err)
	_, err = p.Activate("cutaway-thin-1", 1, mib)
	wantErrno(t, "Activate of one that is open", err, unix.EBUSY)
	must(t, f.Close())
	wantErrno(t, "SetTransaction(5, 6)", p.SetTransaction(5, 6), unix.EINVAL)
	must(t, p.SetTransaction(0, 6))
	if s := status(t, p); s.Transaction != 6 {
		t.Errorf("transaction id %d; want 6", s.Transaction)
	}
	_, err = dmthin.FindPool(c, "cutaway-other")
	wantErrno(t, "FindPool(other)", err, unix.ENXIO)
}

// A file system that is mounted is whole in a snapshot: suspending froze it.
func TestLiveSnapOfMounted(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) { snapOfMounted(t, kind) })
	}
}

func snapOfMounted(t *testing.T, kind string) {
	c := control(t)
	p := poolOn(t, c, t.TempDir(), 512*mib, dmthin.PoolSpec{})
	must(t, p.CreateThin(1))
	base := activate(t, p, 1, 400*mib)
	must(t, dmthin.MakeFileSystem(kind, base))
	at := mount(t, base, kind, "")
	must(t, os.WriteFile(filepath.Join(at, "file"), []byte("before"), 0o600))
	must(t, p.CreateSnap(2, 1))
	must(t, os.WriteFile(filepath.Join(at, "file"), []byte("after"), 0o600))
	options := map[string]string{"xfs": "nouuid"}[kind] // two of one UUID
	snap := mount(t, activate(t, p, 2, 400*mib), kind, options)
	if data, err := os.ReadFile(filepath.Join(snap, "file")); err != nil || string(data) != "before" {
		t.Errorf("the snapshot's file = %q, %v; want before", data, err)
	}
	info, err := c.Info("cutaway-thin-1")
	if err != nil || info.Suspended {
		t.Errorf("origin = %+v, %v; want it resumed", info, err)
	}
}

func mount(t testing.TB, node, kind, options string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount(node, dir, kind, 0, options))
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	return dir
}

// What is in a pool stays when it is taken down, also when another process takes
// it up in between.
func TestLiveReopen(t *testing.T) {
	c := control(t)
	dir := t.TempDir()
	p := poolOn(t, c, dir, 64*mib, dmthin.PoolSpec{})
	must(t, p.CreateThin(1))
	must(t, put(activate(t, p, 1, mib), 0, []byte("stays")))
	other, err := dmthin.FindPool(c, p.Name())
	must(t, err)
	if active, err := other.Active(); err != nil || len(active) != 1 || active["cutaway-thin-1"] != 1 {
		t.Errorf("Active = %v, %v; want thin device 1", active, err)
	}
	if err := other.Grow(2048); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("Grow of a found pool = %v; want EOPNOTSUPP", err)
	}
	checkSharing(t, other, map[uint32]dmthin.Sharing{1: {Mapped: 1, Exclusive: 1}})
	must(t, p.Close())
	again := poolOn(t, c, dir, 64*mib, dmthin.PoolSpec{})
	if got := string(get(t, activate(t, again, 1, mib), 0, 5)); got != "stays" {
		t.Errorf("after a restart of the pool it reads %q; want stays", got)
	}
	must(t, again.Close())
}

// Metadata that is somebody else's is refused, and nothing stays.
func TestLiveForeignMetadata(t *testing.T) {
	c := control(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "metadata"), []byte(strings.Repeat("not a pool ", 1000)), 0o600))
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: dir, Data: 64 * mib, Metadata: 2 * mib})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	_, err = dmthin.StartPool(c, store, dmthin.PoolSpec{Name: "cutaway-pool"})
	if err == nil || len(dmthin.Explain(err)) == 0 {
		t.Errorf("StartPool on foreign metadata = %v; want an error with a cause", err)
	}
	t.Logf("%v: %+v", err, dmthin.Explain(err))
}

// The judge of our reading of the trees is thin_dump(8).
func TestLiveThinDump(t *testing.T) {
	needs.Program(t, "thin_dump", "thin-provisioning-tools")
	c := control(t)
	dir := t.TempDir()
	p := poolOn(t, c, dir, 64*mib, dmthin.PoolSpec{})
	must(t, p.CreateThin(1))
	base := activate(t, p, 1, 1<<30)
	for i := range int64(400) { // more than one leaf
		must(t, put(base, (i*7%1000)*block, []byte{1}))
	}
	must(t, p.CreateSnap(2, 1))
	must(t, put(activate(t, p, 2, 1<<30), 0, []byte{2}))
	m, err := p.Mappings()
	must(t, err)
	must(t, p.Close())
	// thin_dump wants O_DIRECT, which a file on tmpfs has not; a loop device has.
	l, err := dmthin.AttachLoop("/dev", filepath.Join(dir, "metadata"), dmthin.LoopOptions{Autoclear: true})
	must(t, err)
	defer func() { must(t, l.Detach()) }()
	out, err := exec.Command("thin_dump", l.Path).CombinedOutput()
	if err != nil {
		t.Fatalf("thin_dump: %v: %s", err, out)
	}
	if diff := cmp.Diff(parseDump(t, string(out)), m); diff != "" {
		t.Errorf("mappings against thin_dump's (-dump +ours):\n%s", diff)
	}
}

var dumpLine = regexp.MustCompile(`<device dev_id="(\d+)"|<single_mapping origin_block="(\d+)" data_block="(\d+)"|<range_mapping origin_begin="(\d+)" data_begin="(\d+)" length="(\d+)"`)

func parseDump(t *testing.T, xml string) dmthin.Mappings {
	t.Helper()
	m, id := dmthin.Mappings{}, uint32(0)
	number := func(s string) (n uint64) { fmt.Sscan(s, &n); return n }
	for _, f := range dumpLine.FindAllStringSubmatch(xml, -1) {
		switch {
		case f[1] != "":
			id = uint32(number(f[1]))
		case f[2] != "":
			m[id] = append(m[id], dmthin.Mapping{Block: number(f[2]), Data: number(f[3])})
		default:
			for i := range number(f[6]) {
				m[id] = append(m[id], dmthin.Mapping{Block: number(f[4]) + i, Data: number(f[5]) + i})
			}
		}
	}
	return m
}

// A full pool that queues holds the writer until there is room.
func TestLiveFullQueues(t *testing.T) {
	p := poolOn(t, control(t), t.TempDir(), 4*mib, dmthin.PoolSpec{})
	must(t, p.CreateThin(1))
	node := activate(t, p, 1, 16*mib)
	done := make(chan error, 1)
	go func() { done <- put(node, 0, make([]byte, 6*mib)) }()
	deadline := time.Now().Add(30 * time.Second)
	for status(t, p).Mode != dmthin.PoolOutOfSpace {
		if time.Now().After(deadline) {
			t.Fatalf("the pool does not say that it is full: %+v", status(t, p))
		}
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case err := <-done:
		t.Errorf("the writer returned %v while the pool is full; want it to wait", err)
	case <-time.After(200 * time.Millisecond):
	}
	must(t, p.Grow(128))
	if err := <-done; err != nil {
		t.Errorf("the writer = %v after the pool grew; want success", err)
	}
	if s := status(t, p); s.Mode != dmthin.PoolReadWrite || s.Data != (dmthin.Usage{Used: 96, Total: 128}) {
		t.Errorf("status = %+v; want rw with 96/128", s)
	}
}

// A full pool that errors lets the writer know at once.
func TestLiveFullErrors(t *testing.T) {
	p := poolOn(t, control(t), t.TempDir(), 4*mib, dmthin.PoolSpec{Features: dmthin.PoolFeatures{ErrorIfNoSpace: true}})
	must(t, p.CreateThin(1))
	err := put(activate(t, p, 1, 16*mib), 0, make([]byte, 6*mib))
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EIO) {
		t.Errorf("write to a full pool = %v; want ENOSPC or EIO", err)
	}
	if s := status(t, p); s.Mode != dmthin.PoolOutOfSpace || !s.ErrorIfNoSpace {
		t.Errorf("status = %+v; want out_of_data_space", s)
	}
}

// Crossing the low-water mark raises an event, once.
func TestLiveLowWater(t *testing.T) {
	c := control(t)
	p := poolOn(t, c, t.TempDir(), 4*mib, dmthin.PoolSpec{LowWater: 32})
	must(t, p.CreateThin(1))
	node := activate(t, p, 1, 16*mib)
	before, err := c.Info(p.Name())
	must(t, err)
	got := make(chan dmthin.Info, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go func() {
		info, err := c.Wait(ctx, p.Name(), before.Event)
		if err != nil {
			t.Error(err)
		}
		got <- info
	}()
	must(t, put(node, 0, make([]byte, 40*block)))
	if info := <-got; info.Event != before.Event+1 {
		t.Errorf("event number %d after %d; want one more", info.Event, before.Event)
	}
}

func TestLiveAutoextend(t *testing.T) {
	p := poolOn(t, control(t), t.TempDir(), 4*mib, dmthin.PoolSpec{Autoextend: &dmthin.Autoextend{Threshold: 80, Percent: 50}})
	must(t, p.CreateThin(1))
	node := activate(t, p, 1, 32*mib)
	ctx, cancel := context.WithCancel(context.Background())
	grown, done := make(chan dmthin.PoolStatus, 16), make(chan error, 1)
	go func() { done <- p.KeepExtending(ctx, func(s dmthin.PoolStatus) { grown <- s }) }()
	must(t, put(node, 0, make([]byte, 10*mib)))
	if s := <-grown; s.Data.Total < 96 {
		t.Errorf("grown to %v; want at least 96 blocks", s.Data)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("KeepExtending = %v; want the context's end", err)
	}
	s := status(t, p)
	if s.Data.Used != 160 || s.Mode != dmthin.PoolReadWrite {
		t.Errorf("status = %+v; want 160 blocks used, rw", s)
	}
	t.Logf("10 MiB written to a pool of 4 MiB: %v blocks", s.Data)
}
