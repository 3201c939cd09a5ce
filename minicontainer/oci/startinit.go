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

// initName is argv[0] of the init stage: how this program knows what to be.
const initName = "cutaway-init"

// initEnv is the init stage's own environment. It lives for milliseconds:
// collecting garbage, using more processors and finding out how many of them
// the cgroup allows (by reading all of mountinfo) would be work for nothing.
var initEnv = []string{"GOGC=off", "GOMAXPROCS=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0"}

// markedEnv is initEnv with the mark of the run that this belongs to, if there
// is one. A created container waits for its start as long as it takes; when
// everybody who knew of it was killed, the mark is how it is found.
func markedEnv() []string {
	if token := os.Getenv(mark.Variable); token != "" {
		return append([]string{mark.Variable + "=" + token}, initEnv...)
	}
	return initEnv
}

func initArgv(far wire) []string {
	return []string{initName, strconv.Itoa(int(far.f.Fd()))}
}

// startInit starts this program inside the new and the joined namespaces. It
// waits there for its orders.
func (m *making) startInit() error {
	near, far, err := newWire()
	if err != nil {
		return err
	}
	m.wire, m.far = &near, far
	joins, err := openJoins(m.Spec)
	if err != nil {
		return err
	}
	defer closeJoins(joins)
	exe, err := spawn.Sealed()
	if err != nil {
		return err
	}
	defer exe.Close()
	p := spawn.Process{
		Exe: exe, Argv: initArgv(far), Env: markedEnv(),
		Join: joins, New: cloneFlags(m.Spec), TimeOffsets: timeOffsets(m.Spec),
		UIDs: m.Spec.Linux.UIDMappings, GIDs: m.Spec.Linux.GIDMappings, DenyGroups: os.Geteuid() != 0,
		Root:  hasNamespace(m.Spec, specs.UserNamespace),
		Stdio: m.opts.stdio(), Keep: m.inherited(),
	}
	pid, err := m.groups.start(p)
	if err != nil {
		return fmt.Errorf("unable to start container process: %w", err)
	}
	far.f.Close() // only init holds it now: its death is our end of file
	m.onUndo(m.endInit)
	return m.remember(pid)
}

// inherited are the descriptors that init uses by their numbers.
func (m *making) inherited() []*os.File {
	var keep []*os.File
	for _, f := range append([]*os.File{m.far.f, m.tree, m.fifo, m.console}, m.sources...) {
		if f != nil {
			keep = append(keep, f)
		}
	}
	return keep
}

// endInit kills and reaps the process, then runs the poststop hooks: what
// happened to the host by the earlier hooks has to be taken back by somebody.
func (m *making) endInit() error {
	unix.Kill(m.Pid, unix.SIGKILL)
	unix.Wait4(m.Pid, nil, 0, nil)
	m.wire.f.Close()
	m.rt.warn(runAllHooks("poststop", m.Bundle, hookLists(m.Spec).Poststop, m.hookState(specs.StateStopped)))
	return nil
}

// giveOrders sends what init waits for. It is in its cgroups by now.
func (m *making) giveOrders() error {
	o := order{State: m.State, Tree: number(m.tree), Fifo: number(m.fifo), Console: number(m.console), Preserve: m.opts.Preserve,
		Keyring: !m.opts.NoNewKeyring}
	for _, s := range m.sources {
		o.Sources = append(o.Sources, number(s))
	}
	if m.groups != nil {
		o.Cgroups = m.groups.shelves()
	}
	return m.wire.sendOrders(o, m.bundle.Raw, m.bundle.filter)
}

// answerInit does what init cannot do from inside, until it is ready.
func (m *making) answerInit() error {
	return m.wire.attend(map[string]func(reply) error{
		askHooks:    m.createHooks,  // they belong to the runtime's namespaces
		askLimits:   m.setLimits,    // the user that init becomes next may not
		askListener: m.sendListener, // its agent is out here
	})
}

// createHooks runs those that belong between the mounts and the pivot, in the
// runtime's namespaces.
func (m *making) createHooks(reply) error {
	h, state := hookLists(m.Spec), m.hookState(specs.StateCreating)
	//lint:ignore SA1019 old bundles and their engines still use prestart
	if err := runHooks("prestart", m.Bundle, h.Prestart, state); err != nil {
		return err
	}
	return runHooks("createRuntime", m.Bundle, h.CreateRuntime, state)
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

func (m *making) setLimits(reply) error { return setLimits(m.Pid, m.Spec.Process) }

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
