package vm

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// With TCG a kernel takes four seconds of processor time to start, every time in the
// same way. So the first start of a machine is written to a file, as if it were to
// move to another host: its memory and the registers of all its devices (QEMU's
// docs/devel/migration.rst). Later machines begin with that file, each with the same
// fresh guest; what a lab does to it stays in that lab's memory.
//
// What such guests must not share they are told as they wake: the time, and
// randomness.

// bootKept starts a machine from its file; where there is none, it makes one first.
// The file is an advantage and no duty: where it cannot be made or read, the machine
// starts from power-on.
func bootKept(ctx context.Context, qemu string, cfg Config) (*Machine, error) {
	boot := func(cfg Config) (*Machine, error) { return bootWith(ctx, qemu, cfg, "tcg", cfg.Deadline) }
	if !cfg.Keep {
		return boot(cfg)
	}
	state := filepath.Join(cfg.CacheDir, "states", stateKey(qemu, cfg)+".state")
	var unbootable error
	err := buildOnce(ctx, state, func(temp string) error {
		var m *Machine
		if m, unbootable = boot(cfg); unbootable != nil {
			return unbootable
		}
		defer m.Close()
		return m.keep(ctx, temp)
	})
	switch {
	case unbootable != nil:
		return nil, unbootable
	case err != nil:
		return boot(cfg)
	}
	resumed := cfg
	resumed.state = state
	m, err := boot(resumed)
	if err == nil || ctx.Err() != nil {
		return m, err
	}
	os.Remove(state) // whatever is wrong with it, the next start makes a new one
	return boot(cfg)
}

// stateKey names a file by all that a guest's memory depends on. The host's boot is
// part of it: the guest has measured how fast this processor counts, and a file that
// a crash of the host cut short is never read.
func stateKey(qemu string, cfg Config) string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return keyOf([]string{stampOf(qemu), stampOf(cfg.Kernel.boot), stampOf(cfg.Initramfs.Path), stampOf(cfg.Initramfs.Disk), string(boot)},
		cfg.arguments("tcg"))
}

// keep writes the machine to a file once nothing moves in it any more. It is no use
// afterwards.
func (m *Machine) keep(ctx context.Context, file string) error {
	if err := roomFor(filepath.Dir(file)); err != nil {
		return err
	}
	if _, err := m.task(ctx, "let the guest settle", Command{}, request{Do: "settle"}); err != nil {
		return err
	}
	// Two at most: of the labs' machine, and of one with other flags.
	if err := dropOld(filepath.Dir(file), ".state", 1); err != nil {
		return err
	}
	return m.writeState(ctx, file)
}

// roomFor wants more space than a state takes, 100 to 150 MB: a try that fills the
// disk would cost its owner more than it could save.
func roomFor(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("statfs(%s): %w", dir, err)
	}
	const room = 512 << 20
	if free := fs.Bavail * uint64(fs.Bsize); free < room {
		return fmt.Errorf("%d MB are free in %s, want %d: %w", free>>20, dir, room>>20, unix.ENOSPC)
	}
	return nil
}

// writeState makes QEMU move the machine into a file. The shell that it starts for
// this opens a file of ours by its number: no name needs to be quoted, and what is in
// a guest's memory is its owner's alone.
func (m *Machine) writeState(ctx context.Context, name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	mon, err := newMonitor(m.qemu.monitor)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		command   string
		arguments map[string]any
	}{
		{"stop", nil}, // a guest that runs on would change what was written
		{"migrate-set-parameters", map[string]any{"max-bandwidth": int64(1) << 40}},
		{"migrate", map[string]any{"uri": fmt.Sprintf("exec:cat > /proc/%d/fd/%d", os.Getpid(), f.Fd())}},
	} {
		if err := mon.Do(c.command, c.arguments, nil); err != nil {
			return err
		}
	}
	return mon.await(ctx, "query-migrate", "completed")
}

// await asks until the answer is the one that is wanted.
func (m *monitor) await(ctx context.Context, query, want string) error {
	for {
		switch state, err := m.stateOf(query); {
		case err != nil || state == want:
			return err
		case state == "failed" || state == "cancelled" || state == "internal-error":
			return fmt.Errorf("%s: %s", query, state)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// resume lets a machine run whose memory has been read, and wakes its agent.
func (m *Machine) resume(ctx context.Context) error {
	mon, err := newMonitor(m.qemu.monitor)
	if err != nil {
		return err
	}
	// The file was written of a stopped machine, so this one is born stopped.
	if err := mon.await(ctx, "query-status", "paused"); err != nil {
		return err
	}
	if err := mon.Do("cont", nil, nil); err != nil {
		return err
	}
	w := wake{Now: time.Now().UnixNano(), Seed: make([]byte, 64)}
	_, _ = rand.Read(w.Seed) // never fails
	return m.link.SendJSON(kindWake, 0, w)
}
