package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/journal/mark"
	"cutaway/minicontainer/oci/spawn"
)

// initName is argv[0] of the stage: how this program knows what to be.
const initName = "cutaway-init"

// initEnv is for a stage that is this program. It lives for milliseconds:
// collecting garbage and using more processors would be work for nothing.
var initEnv = []string{"GOGC=off", "GOMAXPROCS=1"}

// markedEnv is the mark of the run that this belongs to, if there is one. A
// created container waits for its start as long as it takes; when everybody who
// knew of it was killed, the mark is how it is found.
func markedEnv() []string {
	if token := os.Getenv(mark.Variable); token != "" {
		return []string{mark.Variable + "=" + token}
	}
	return nil
}

func initArgv(far wire) []string {
	return []string{initName, strconv.Itoa(int(far.f.Fd()))}
}

// env is that of the stage. A script needs none.
func (s *stage) env() []string {
	if s.memory == nil {
		return append(markedEnv(), initEnv...)
	}
	return markedEnv()
}

// startStage starts the process inside the new and the joined namespaces.
func (m *making) startStage() error {
	b := &box{state: m.State, spec: m.Spec, filter: m.bundle.filter, tree: m.tree, sources: m.sources, fifo: m.fifo,
		console: m.console, preserve: m.opts.Preserve, keyring: !m.opts.NoNewKeyring, stdio: m.opts.stdio(), outside: m}
	if m.groups != nil {
		b.cgroups = m.groups.shelves()
	}
	if err := b.identify(); err != nil {
		return err
	}
	joins, err := openJoins(m.Spec)
	if err != nil {
		return err
	}
	defer closeJoins(joins)
	if m.stage, err = newStage(b, canVisit(ownFlags(m.Spec), hookLists(m.Spec))); err != nil {
		return err
	}
	m.stage.listener = m.sendListener
	m.stage.meanwhile = m.limitGroup
	err = m.stage.start(m.groups, spawn.Process{
		Join: joins, New: cloneFlags(m.Spec), TimeOffsets: timeOffsets(m.Spec),
		UIDs: m.Spec.Linux.UIDMappings, GIDs: m.Spec.Linux.GIDMappings, DenyGroups: os.Geteuid() != 0,
		Root:  hasNamespace(m.Spec, specs.UserNamespace),
		Stdio: b.stdio,
	})
	if err != nil {
		return err
	}
	m.onUndo(m.endStage)
	return m.remember(m.stage.pid)
}

// endStage ends the process, then runs the poststop hooks: what happened to the
// host by the earlier hooks has to be taken back by somebody.
func (m *making) endStage() error {
	m.stage.end()
	m.stage.near.f.Close()
	m.rt.warn(runAllHooks("poststop", m.Bundle, hookLists(m.Spec).Poststop, m.hookState(specs.StateStopped)))
	return nil
}

// finishStage has the container built in the namespaces of its own process.
func (m *making) finishStage() error {
	pidfd, err := unix.PidfdOpen(m.Pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open(%d): %w", m.Pid, err)
	}
	f := os.NewFile(uintptr(pidfd), "pidfd")
	defer f.Close()
	m.stage.state = m.State // it has a pid now
	return m.stage.finish(f, ownFlags(m.Spec))
}

// runtimeHooks runs those that belong between the mounts and the pivot. They are
// the host's: who asks for them may be a thread that visits the container, and what
// that one started would be in there.
func (m *making) runtimeHooks() error {
	h, state := hookLists(m.Spec), m.hookState(specs.StateCreating)
	return elsewhere(func() error {
		if err := m.limitGroup(); err != nil {
			return err
		}
		//lint:ignore SA1019 old bundles and their engines still use prestart
		if err := runHooks("prestart", m.Bundle, h.Prestart, state); err != nil {
			return err
		}
		return runHooks("createRuntime", m.Bundle, h.CreateRuntime, state)
	})
}

// setOOMScore writes from outside: a user namespace may not lower it.
func (m *making) setOOMScore() error {
	return setOOMScore(m.Pid, m.Spec.Process.OOMScoreAdj)
}

func setOOMScore(pid int, score *int) error {
	if score == nil {
		return nil
	}
	path := fmt.Sprintf("/proc/%d/oom_score_adj", pid)
	if err := os.WriteFile(path, []byte(strconv.Itoa(*score)), 0); err != nil {
		return fmt.Errorf("oomScoreAdj %d: %w", *score, err)
	}
	return nil
}

func (m *making) limits() error { return setLimits(m.Pid, m.Spec.Process) }

// setLimits sets them from outside (prlimit(2)): raising a hard limit takes
// rights that a container in a user namespace does not have.
func setLimits(pid int, p *specs.Process) error {
	limits, err := planLimits(p.Rlimits)
	for _, l := range limits {
		if err := l.set(pid); err != nil {
			return err
		}
	}
	return err
}

func number(f *os.File) int {
	if f == nil {
		return -1
	}
	return int(f.Fd())
}

// writePidFile writes beside and renames: who waits for the file to appear
// never reads an empty one.
func writePidFile(path string, pid int) error {
	if path == "" {
		return nil
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(temp, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
