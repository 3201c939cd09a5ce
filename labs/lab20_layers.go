package labs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver/devicemapper"
)

const (
	baseBytes  = 256 << 20 // Docker's base device has 10 GiB
	layerBytes = 4 << 20   // the file that layer1 brings: 64 blocks
)

// thinDevices are the thin devices of the layers, by their ids in the pool.
func thinDevices() map[uint32]string {
	return map[uint32]string{1: "base", 2: "layer1", 3: "layer2", 4: "container"}
}

// withDriver opens Docker's devicemapper driver on the lab's pool. It makes the base
// device where there is none.
func withDriver(b *bench.Bench, do func(*devicemapper.Driver) error) error {
	return withPool(b, "pool", func(_ *dmthin.Control, p *dmthin.Pool) error {
		d, err := devicemapper.Open(b.Path(thinHome(b)), driverPool{p}, devicemapper.Options{BaseSize: baseBytes, Prefix: runName(b) + "-"})
		if err != nil {
			return err
		}
		return errors.Join(do(d), d.Close())
	})
}

// undoLayer are the undos for a layer that is mounted, if only for a moment.
func undoLayer(b *bench.Bench, id string) []journal.Undo {
	return append(undoDM(b, id), journal.Undo{Kind: journal.Umount, Path: b.Path(thinHome(b), "mnt", id)})
}

// metadataLine writes what the driver keeps of a device, by hand.
func metadataLine(id string, device uint32, initialized bool) string {
	return fmt.Sprintf(`echo '{"device_id":%d,"size":%d,"transaction_id":%d,"initialized":%v,"deleted":false}' > $N/devicemapper/metadata/%s`,
		device, baseBytes, device, initialized, id)
}

func sharingView() bench.View {
	return bench.View{Title: "blocks of the thin devices", Columns: []string{"all", "shared", "its own"}, Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		return sharingFacts(b, "pool", thinDevices())
	}}
}

func baseStep() bench.Step {
	return bench.Step{
		Name: "base", Reproduces: []string{"dm-snapshot"},
		Intend: intendDM("base"),
		Do: func(_ context.Context, b *bench.Bench) error {
			return withDriver(b, func(*devicemapper.Driver) error { return nil })
		},
		ByHand: bench.ByHand{
			Lines: named(
				"mkdir -p $N/devicemapper/metadata $N/devicemapper/mnt",
				`dmsetup message $N-pool 0 "create_thin 1"`,
				thinLine("pool", "base", 1, baseBytes/512),
				"mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/$N-base",
				"blkid /dev/mapper/$N-base",
				"dmsetup remove --verifyudev $N-base",
				metadataLine("base", 1, true)),
			Tools: []bench.Tool{bench.Mkdir, bench.Dmsetup, bench.MkfsExt4, bench.Blkid},
		},
		Look: []bench.View{
			sharingView(),
			{Title: "Docker's folder of devices", Read: readDeviceFiles},
		},
		Expect: []evidence.Expectation{
			evidence.Custom("the empty file system takes a few megabytes of the pool", []string{"device 1, base"}, func(o evidence.Observed) evidence.Verdict {
				n, ok := evidence.Number(o.After.Column("device 1, base", 0))
				return evidence.Judged(ok && n >= 16 && n*poolBlockSize < baseBytes/4, "16 blocks or more, and less than a quarter of the device", fmt.Sprint(n))
			}),
			evidence.Custom("so far nobody shares them", []string{"device 1, base"}, func(o evidence.Observed) evidence.Verdict {
				return evidence.Judged(o.After.Column("device 1, base", 1) == "0", "no shared block", o.After.Column("device 1, base", 1))
			}),
			evidence.Becomes("Docker's note says that the device has a file system", "metadata/base", evidence.Contains(`"initialized":true`)),
		},
	}
}

// readDeviceFiles reads the driver's notes, one file for each device.
func readDeviceFiles(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	dir := thinHome(b) + "/metadata"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return facts, err
		}
		facts = append(facts, evidence.F("metadata/"+e.Name(), "cat "+filepath.Join(dir, e.Name()), strings.TrimSpace(string(text))))
	}
	return facts, nil
}

func layersStep() bench.Step {
	return bench.Step{
		Name: "layers", Reproduces: []string{"dm-snapshot"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			return append(undoLayer(b, "layer1"), undoLayer(b, "layer2")...), nil
		},
		Do: makeThinLayers,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := snapLines("layer1", 2, 1)
				lines = append(lines,
					"mkdir $N/devicemapper/mnt/layer1/rootfs",
					fmt.Sprintf("dd if=/dev/urandom of=$N/devicemapper/mnt/layer1/rootfs/big bs=64k count=%d status=none", layerBytes/poolBlockSize),
					"echo layer1 > $N/devicemapper/mnt/layer1/rootfs/from-layer1")
				lines = append(lines, closeLines("layer1")...)
				lines = append(lines, snapLines("layer2", 3, 2)...)
				lines = append(lines, "echo layer2 > $N/devicemapper/mnt/layer2/rootfs/from-layer2")
				return named(append(lines, closeLines("layer2")...)...)(b)
			},
			Tools: []bench.Tool{bench.Dmsetup, bench.Mkdir, bench.Rmdir, bench.Mount, bench.Umount, bench.DD},
		},
		Look: []bench.View{sharingView(), {Title: "Docker's folder of devices", Read: readDeviceFiles}},
		Expect: []evidence.Expectation{
			evidence.Custom("layer1 has the base's blocks and at least 64 more, for its file", []string{"device 1, base", "device 2, layer1"}, func(o evidence.Observed) evidence.Verdict {
				base, _ := evidence.Number(o.After.Column("device 1, base", 0))
				layer, ok := evidence.Number(o.After.Column("device 2, layer1", 0))
				return evidence.Judged(ok && layer >= base+layerBytes/poolBlockSize, "64 blocks more than the base", fmt.Sprintf("%g and %g blocks", layer, base))
			}),
			evidence.Custom("layer2 has as much, and nearly all of it is shared", []string{"device 3, layer2"}, func(o evidence.Observed) evidence.Verdict {
				shared, _ := evidence.Number(o.After.Column("device 3, layer2", 1))
				own, ok := evidence.Number(o.After.Column("device 3, layer2", 2))
				return evidence.Judged(ok && own >= 1 && shared >= 4*own, "at least four times as many shared blocks as own ones", fmt.Sprintf("%g shared, %g its own", shared, own))
			}),
			evidence.Becomes("Docker's note for layer2 has the number of its device", "metadata/layer2", evidence.Contains(`"device_id":3`)),
			evidence.Keeps("the base's note is what it was", "metadata/base"),
		},
	}
}

// snapLines make a snapshot by hand, activate it and mount it.
func snapLines(name string, id, origin uint32) []string {
	return []string{
		fmt.Sprintf(`dmsetup message $N-pool 0 "create_snap %d %d"`, id, origin),
		metadataLine(name, id, false),
		thinLine("pool", name, id, baseBytes/512),
		"mkdir $N/devicemapper/mnt/" + name,
		fmt.Sprintf("mount -t ext4 /dev/mapper/$N-%s $N/devicemapper/mnt/%s", name, name),
	}
}

// closeLines unmount a layer and take its device away; the pool keeps the content.
func closeLines(name string) []string {
	return []string{
		"umount $N/devicemapper/mnt/" + name,
		"rmdir $N/devicemapper/mnt/" + name,
		"dmsetup remove --verifyudev $N-" + name,
	}
}

// makeThinLayers has the driver make two layers, each a snapshot of the one below
// (message create_snap), and puts files into them.
func makeThinLayers(_ context.Context, b *bench.Bench) error {
	return withDriver(b, func(d *devicemapper.Driver) error {
		return errors.Join(
			fillLayer(d, "layer1", "", map[string][]byte{"big": bytes.Repeat([]byte("cutaway "), layerBytes/8), "from-layer1": []byte("layer1\n")}),
			fillLayer(d, "layer2", "layer1", map[string][]byte{"from-layer2": []byte("layer2\n")}))
	})
}

// fillLayer makes a layer, mounts it for a moment and writes files.
func fillLayer(d unionfs.Driver, id, parent string, files map[string][]byte) error {
	if err := d.Create(id, parent, unionfs.CreateOptions{}); err != nil {
		return err
	}
	m, err := d.Mount(id, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for name, content := range files {
		errs = append(errs, os.WriteFile(filepath.Join(m.Path, name), content, 0o644))
	}
	return errors.Join(append(errs, m.Release())...)
}

func thinContainerStep() bench.Step {
	return bench.Step{
		Name: "container", Reproduces: []string{"dm-layout", "dm-snapshot"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) { return undoLayer(b, "container"), nil },
		Do: func(_ context.Context, b *bench.Bench) error {
			return withDriver(b, func(d *devicemapper.Driver) error {
				if err := d.Create("container", "layer2", unionfs.CreateOptions{}); err != nil {
					return err
				}
				// It stays mounted, as while a container runs; the journal unmounts it.
				_, err := d.Mount("container", unionfs.MountOptions{})
				return err
			})
		},
		ByHand: bench.ByHand{
			Lines: named(snapLines("container", 4, 3)...),
			Tools: []bench.Tool{bench.Dmsetup, bench.Mkdir, bench.Mount},
		},
		Look: []bench.View{
			{Title: "Docker's folders", Read: readThinLayout},
			{Title: "seen in the container", Read: readThinContainer},
			sharingView(),
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container has a note of its own, with its device's number", "metadata/container", evidence.Contains(`"device_id":4`)),
			evidence.Becomes("its file system is mounted below mnt", "mnt/container", evidence.Matches(`^ext4 of .*-container$`)),
			evidence.Becomes("the container sees what layer1 brought", "from-layer1", evidence.Equals("layer1")),
			evidence.Becomes("and what layer2 brought", "from-layer2", evidence.Equals("layer2")),
			evidence.Keeps("the note of the layer below is what it was", "metadata/layer2"),
		},
	}
}

// readThinLayout lists the driver's folder as it is in /var/lib/docker.
func readThinLayout(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	home := thinHome(b)
	var facts []evidence.Fact
	for _, name := range []string{"data", "metadata"} {
		if info, err := os.Stat(home + "/devicemapper/" + name); err == nil {
			facts = append(facts, evidence.F("devicemapper/"+name, "ls -l "+home+"/devicemapper", fmt.Sprintf("file of %d MiB", info.Size()>>20)))
		}
	}
	notes, err := readDeviceFiles(ctx, b)
	if err != nil {
		return facts, err
	}
	facts = append(facts, notes...)
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(b.Path(home, "mnt")))
	for _, m := range mounts {
		facts = append(facts, evidence.F("mnt/"+filepath.Base(m.Mountpoint), "findmnt "+m.Mountpoint, m.FSType+" of "+m.Source))
	}
	return facts, err
}

func readThinContainer(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	root := thinHome(b) + "/mnt/container/rootfs"
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		info, err := e.Info()
		if err != nil {
			return facts, err
		}
		value := fmt.Sprintf("%d bytes", info.Size())
		if info.Size() < 64 {
			text, err := os.ReadFile(path)
			if err != nil {
				return facts, err
			}
			value = strings.TrimSpace(string(text))
		}
		facts = append(facts, evidence.F(e.Name(), "cat "+path, value))
	}
	return facts, nil
}

func breakStep() bench.Step {
	return bench.Step{
		Name: "break", Reproduces: []string{"dm-snapshot"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return writeAt(thinHome(b)+"/mnt/container/rootfs/big", layerBytes/2, []byte("changed in the container"))
		},
		ByHand: bench.ByHand{
			Lines: named(fmt.Sprintf("printf 'changed in the container' | dd of=$N/devicemapper/mnt/container/rootfs/big bs=1 seek=%d conv=notrunc,fsync status=none", layerBytes/2)),
			Tools: []bench.Tool{bench.DD},
		},
		Look: []bench.View{
			{Title: "the big file of layer1, in the container", Read: readBig},
			{Title: "blocks that are a device's own", Read: readOwnBlocks},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container sees its change", "in the middle of the file", evidence.Equals("changed in the container")),
			evidence.Custom("a few blocks became the container's own, not the 64 of the file", []string{"container, its own blocks"}, func(o evidence.Observed) evidence.Verdict {
				before, _ := evidence.Number(o.Before.Value("container, its own blocks"))
				after, ok := evidence.Number(o.After.Value("container, its own blocks"))
				return evidence.Judged(ok && after > before && after-before <= 16, "from 1 to 16 more", fmt.Sprintf("%g, then %g", before, after))
			}),
			evidence.Keeps("layer1 has the blocks that it had", "layer1, blocks"),
			evidence.Keeps("and so has the base", "base, blocks"),
		},
	}
}

func readBig(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	path := thinHome(b) + "/mnt/container/rootfs/big"
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, len("changed in the container"))
	if _, err := f.ReadAt(text, layerBytes/2); err != nil {
		return nil, err
	}
	value := string(text)
	if value != "changed in the container" {
		value = "what layer1 wrote"
	}
	return []evidence.Fact{evidence.F("in the middle of the file", fmt.Sprintf("dd if=%s bs=1 skip=%d count=%d", path, layerBytes/2, len(text)), value)}, nil
}

// readOwnBlocks first has the container's file system write out what it still holds,
// so that before and after differ by the act alone.
func readOwnBlocks(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	dir, err := os.Open(thinHome(b) + "/mnt/container")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return nil, fmt.Errorf("syncfs %s: %w", dir.Name(), err)
	}
	var facts []evidence.Fact
	err = withPool(b, "pool", func(_ *dmthin.Control, p *dmthin.Pool) error {
		m, err := p.Mappings()
		sharing := m.Sharing()
		for id := uint32(1); id <= 4; id++ {
			name, s := thinDevices()[id], sharing[id]
			facts = append(facts, evidence.F(name+", blocks", "the pool's metadata", fmt.Sprint(s.Mapped)),
				evidence.F(name+", its own blocks", "the pool's metadata", fmt.Sprint(s.Exclusive)))
		}
		return err
	})
	return facts, err
}
