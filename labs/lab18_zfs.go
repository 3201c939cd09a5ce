package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
	"cutaway/unionfs"
	"cutaway/unionfs/driver/zfs"
)

// ZFS runs in a daemon of the lab's own here: zfs-fuse keeps its socket and its
// notes in folders that the lab covers with empty ones, so that it knows nothing
// of pools on the real machine, and they nothing of it.

const (
	zfsDaemon    = "zfs" // the daemon's name on the bench
	zfsNotes     = "/var/lib/zfs"
	zfsSocket    = "/run/zfs"
	zfsLock      = "/run/lock"
	zfsPoolBytes = 256 << 20
)

var (
	zfsFuse  = bench.Tool{Program: "zfs-fuse", Package: "zfs-fuse"}
	zfsTool  = bench.Tool{Program: "zfs", Package: "zfs-fuse"}
	zpool    = bench.Tool{Program: "zpool", Package: "zfs-fuse"}
	zfsTools = []bench.Tool{zfsFuse, zfsTool, zpool, {Program: "mountpoint", Package: "util-linux"}, bench.Umount, bench.Mkdir, bench.Mount, bench.Truncate, bench.Setpriv, bench.Timeout, bench.DD, {Program: "head", Package: "coreutils"}}
)

func zfsPoolStep() bench.Step {
	return bench.Step{
		Name: "pool", Extra: true, Needs: needs("fuse"),
		Do: makePool,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"if mountpoint -q btrfs; then umount btrfs; fi",
				"mkdir -p "+zfsSocket+" "+zfsLock,
				"mount -t tmpfs cutaway "+zfsNotes,
				"setpriv --pdeathsig KILL zfs-fuse --no-daemon --no-kstat-mount & echo $! > zfs.pid",
				"timeout 10 sh -c 'until zpool list; do sleep 0.05; done' 2> /dev/null",
				fmt.Sprintf("truncate -s %d pool.img", zfsPoolBytes),
				"zpool create -m none cutaway $LAB/pool.img",
				"zpool list",
			),
			Tools: zfsTools,
		},
		Look: []bench.View{{Title: "the pool", Read: readPool}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a process of the lab's own serves ZFS", "daemon", evidence.Equals("zfs-fuse")),
			evidence.Becomes("there is a pool, and it is in order", "health of the pool cutaway", evidence.Equals("ONLINE")),
			evidence.Is("it stands on our file", "device of the pool", evidence.Contains("pool.img")),
		},
	}
}

// makePool starts the daemon, and makes a pool of a file.
func makePool(ctx context.Context, b *bench.Bench) error {
	if err := zfsIsHere(b); err != nil {
		return err
	}
	// The disk of the earlier steps has served. With a lab that is killed while
	// its own daemon serves a file system, the kernel may not let go of the others.
	if err := unix.Unmount("btrfs", 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("umount(btrfs): %w", err)
	}
	if err := startZFS(ctx, b); err != nil {
		return err
	}
	if err := os.WriteFile("pool.img", nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate("pool.img", zfsPoolBytes); err != nil {
		return err
	}
	return runTool(ctx, zpool, "create", "-m", "none", "cutaway", b.Path("pool.img"))
}

// zfsIsHere tells what a machine lacks before anything is made.
func zfsIsHere(b *bench.Bench) error {
	_, err := exec.LookPath(zfsFuse.Program)
	switch {
	case err == nil:
		return nil
	case b.Where == "vm":
		return &evidence.CannotTest{Reason: "the virtual machine has no zfs-fuse", WayOut: "on the machine itself: apt-get install zfs-fuse; sudo cutaway lab 18 --on host"}
	}
	return notInstalled(zfsFuse)
}

// startZFS runs the daemon. It ends with the lab: the kernel kills it when the
// worker is gone (PR_SET_PDEATHSIG).
func startZFS(ctx context.Context, b *bench.Bench) error {
	if err := errors.Join(os.MkdirAll(zfsSocket, 0o755), os.MkdirAll(zfsLock, 0o755)); err != nil {
		return err
	}
	if err := unix.Mount("cutaway", zfsNotes, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount(tmpfs, %s): %w", zfsNotes, err)
	}
	p, err := nsdemo.Start(ctx, nsdemo.Spec{})
	if err != nil {
		return err
	}
	if err := b.Keep(zfsDaemon, p); err != nil {
		return err
	}
	// The kernel's ZFS shows its counters as /proc/spl; zfs-fuse would mount
	// something there for the same purpose.
	if err := p.Exec(ctx, "zfs-fuse", "--no-daemon", "--no-kstat-mount"); err != nil {
		return err
	}
	for range 200 {
		if err = runTool(ctx, zpool, "list"); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("zfs-fuse does not answer: %w", err)
}

func readPool(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid(zfsDaemon)
	if err != nil {
		return nil, err
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("daemon", fmt.Sprintf("/proc/%d/comm", pid), strings.TrimSpace(string(name)))}
	pool, err := zfs.ReadPool("cutaway")
	if err != nil {
		return facts, err
	}
	return append(facts,
		evidence.F("health of the pool cutaway", "zpool list -H -o health cutaway", pool.Health),
		evidence.F("device of the pool", "zpool status cutaway", strings.Join(pool.Devices, " ")),
	), nil
}

func zfsCloneStep() bench.Step {
	return bench.Step{
		Name: "clone", Extra: true, Needs: needs("fuse"), Reproduces: []string{"drv-zfs"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := openZFS(b)
			if err != nil {
				return err
			}
			return add(d, layerBase, layerApp)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"zfs create -o mountpoint=$LAB/zfs/graph/base cutaway/base",
				"head -c 8M /dev/urandom > zfs/graph/base/big",
				"zfs snapshot cutaway/base@app",
				"zfs clone -o mountpoint=$LAB/zfs/graph/app cutaway/base@app cutaway/app",
				"zfs destroy -d cutaway/base@app",
				"head -c 64K /dev/urandom > zfs/graph/app/program",
				"zfs unmount cutaway/app && zfs unmount cutaway/base",
				"zfs list -t all -o name,used,refer,origin",
			),
			Tools: zfsTools,
		},
		Look: []bench.View{{Title: "datasets", Read: readDatasets}},
		Expect: []evidence.Expectation{
			evidence.Becomes("base was frozen: there is a snapshot of it", "base: snapshot", evidence.Equals("cutaway/base@app")),
			evidence.Becomes("app is a clone of that snapshot", "app: origin", evidence.Equals("cutaway/base@app")),
			evidence.Becomes("app refers to all of base and its own file", "app: referenced, KiB", evidence.AtLeast(8192+64)),
			evidence.Becomes("it uses only what its own file takes", "app: used, KiB", evidence.Between(64, 1023)),
			evidence.Becomes("the snapshot will go away with its clone", "base: snapshot goes with its clone", evidence.Equals("yes")),
		},
	}
}

func zfsWriteStep() bench.Step {
	return bench.Step{
		Name: "clone-write", Extra: true, Needs: needs("fuse"), Reproduces: []string{"drv-zfs"},
		Do: writeOverInClone,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"timeout 5 sh -c 'until zfs mount cutaway/app; do sleep 0.1; done'",
				"dd if=/dev/urandom of=zfs/graph/app/big bs=1M count=1 seek=2 conv=notrunc",
				"zfs unmount cutaway/app",
				"zfs list -t all -o name,used,refer,origin",
			),
			Tools: zfsTools,
		},
		Look: []bench.View{{Title: "datasets", Read: readDatasets}},
		Expect: []evidence.Expectation{
			evidence.Becomes("app now uses 1 MiB more: the blocks that were written over", "app: used, KiB", evidence.Between(1024+64, 2048)),
			evidence.Keeps("base uses what it did", "base: used, KiB"),
			evidence.Keeps("app refers to as much as before: old blocks were exchanged for new ones", "app: referenced, KiB"),
		},
	}
}

// openZFS opens the driver, or says that there is no pool for it.
func openZFS(b *bench.Bench) (*zfs.Driver, error) {
	if err := zfsIsHere(b); err != nil {
		return nil, err
	}
	return zfs.Open(b.Path("zfs"), "cutaway")
}

// writeOverInClone mounts the layer for the time of the write. The unmount writes
// everything out: what is counted is counted only then.
func writeOverInClone(_ context.Context, b *bench.Bench) error {
	d, err := openZFS(b)
	if err != nil {
		return err
	}
	m, err := d.Mount("app", unionfs.MountOptions{})
	if err != nil {
		return err
	}
	return errors.Join(writeOver(m.Path+"/big"), m.Release())
}

// readDatasets asks zfs(8), which is the only way to ask.
func readDatasets(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if _, err := b.Pid(zfsDaemon); err != nil {
		return nil, err
	}
	d, err := zfs.Open(b.Path("zfs"), "cutaway")
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, name := range []string{"base", "app"} {
		s, err := d.ReadSpace(name)
		if err != nil {
			return facts, err
		}
		get := "zfs get used,referenced,origin cutaway/" + name
		facts = append(facts,
			evidence.F(name+": used, KiB", get, fmt.Sprint(s.Used>>10)),
			evidence.F(name+": referenced, KiB", get, fmt.Sprint(s.Referenced>>10)))
		if s.Origin != "" {
			facts = append(facts, evidence.F(name+": origin", get, s.Origin))
		}
	}
	snapshots, err := d.Snapshots("base")
	for _, s := range snapshots {
		facts = append(facts,
			evidence.F("base: snapshot", "zfs list -t snapshot", s.Name),
			evidence.F("base: snapshot goes with its clone", "zfs get defer_destroy "+s.Name, map[bool]string{true: "yes", false: "no"}[s.Deferred]))
	}
	return facts, err
}
