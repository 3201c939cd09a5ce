package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
)

// making is a container on its way: what was made so far, and how to take it back.
type making struct {
	*Container
	opts   Options
	bundle *Bundle

	tree    *os.File   // the root file system, cloned
	sources []*os.File // the bind mounts' sources, cloned; nil for other mounts
	fifo    *os.File
	console *os.File
	limited bool

	undo []func() error
}

// Create makes a container from a bundle, up to the point where only the user's
// program is missing. On an error nothing of it is left.
func (r *Runtime) Create(id string, o Options) (*Container, error) {
	m, err := r.plan(id, o)
	if err != nil {
		return nil, err
	}
	defer m.close()
	for _, step := range []func() error{
		m.claimName,    // a folder in the state directory: the name is ours
		m.openTrees,    // the root and the bind sources, as the host sees them
		m.openConsole,  // where the terminal's master goes
		m.makeFifo,     // what start will write to
		m.saveCreating, // from here on delete can find what a crash leaves
		m.makeGroup,    // for the process and all that it will start
		m.startStage,   // a process in all its new namespaces
		m.announce,     // the caller may have something to do in these namespaces
		m.setOOMScore,  // /proc/PID/oom_score_adj
		m.finishStage,  // the container is built around it, down to its program
		m.limitGroup,   // late: init's own threads and memory are not the program's; a script has none
		m.saveCreated,  // state.json and the pid file
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, m.takeBack())
		}
	}
	return m.Container, nil
}

// plan reads everything and makes nothing.
func (r *Runtime) plan(id string, o Options) (*making, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	b, err := o.loaded()
	if err != nil {
		return nil, err
	}
	if err := o.checkTerminal(b.Spec.Process.Terminal); err != nil {
		return nil, err
	}
	st := State{ID: id, Bundle: b.Dir, Rootfs: b.RootPath(), Created: time.Now().UTC(), Owner: os.Geteuid(),
		Annotations: b.Spec.Annotations, Cgroup: cgroupPath(b.Spec.Linux.CgroupsPath, id)}
	return &making{Container: &Container{State: st, Spec: b.Spec, rt: r}, opts: o, bundle: b}, nil
}

func (m *making) onUndo(f func() error) { m.undo = append(m.undo, f) }

// takeBack undoes in reverse order and tells what could not be undone.
func (m *making) takeBack() error {
	var errs []error
	for i := len(m.undo) - 1; i >= 0; i-- {
		errs = append(errs, m.undo[i]())
	}
	return errors.Join(errs...)
}

// close lets go of the descriptors that only the making needed.
func (m *making) close() {
	closeAll(append([]*os.File{m.tree, m.fifo, m.console}, m.sources...))
	if m.stage != nil {
		m.stage.close()
	}
}

func (m *making) claimName() error {
	s := m.rt.store()
	if err := s.claim(m.ID); err != nil {
		return err
	}
	m.onUndo(func() error { return s.remove(m.ID) })
	return os.WriteFile(s.dir(m.ID)+"/config.json", m.bundle.Raw, 0o600)
}

// makeFifo makes the pipe with a name that init waits at (mkfifo(3)). Init gets
// it opened: it could not find it any more from inside the container.
func (m *making) makeFifo() error {
	path := m.rt.store().dir(m.ID) + "/exec.fifo"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("mkfifo %s: %w", path, err)
	}
	// Read and write: such an open never waits for the other side, and start
	// finds a reader exactly as long as init lives.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	m.fifo = os.NewFile(uintptr(fd), path)
	return nil
}

func (m *making) saveCreating() error {
	return m.rt.store().save(&m.State)
}

func (m *making) announce() error {
	if m.opts.Born != nil {
		m.opts.Born(m.Pid)
	}
	return nil
}

func (m *making) saveCreated() error {
	m.Made = true
	if err := m.rt.store().save(&m.State); err != nil {
		return err
	}
	return writePidFile(m.opts.PidFile, m.Pid)
}

func (m *making) makeGroup() error {
	hs, err := m.rt.Hierarchies()
	if err != nil {
		return err
	}
	g, err := cgroupdemo.Create(hs, cgroupConfig(m.Cgroup))
	if errors.Is(err, fs.ErrExist) {
		g, err = m.adoptGroup(hs)
	}
	if err != nil && mayLackCgroups(err) {
		m.rt.warn(err)
		return nil
	}
	if err != nil {
		return err
	}
	m.groups = &groups{hs, g}
	m.onUndo(func() error { return deleteGroup(g, lateLeave) })
	return nil
}

// adoptGroup takes a group that is there already: engines prepare groups, in one
// hierarchy or in all, and containers of one pod may share one. In a frozen one
// nothing would ever run, the stage first of all.
func (m *making) adoptGroup(hs *cgroupdemo.Hierarchies) (*cgroupdemo.Group, error) {
	g, err := cgroupdemo.Open(hs, cgroupConfig(m.Cgroup))
	if err != nil {
		return nil, err
	}
	if g.FreezerState().Value == cgroupdemo.Frozen {
		return nil, fmt.Errorf("container's cgroup unexpectedly frozen: %s; thaw it, or give the container another one (linux.cgroupsPath)", m.Cgroup)
	}
	if pids, err := g.Processes(); err == nil && len(pids) > 0 {
		m.Shares = true
		m.rt.warn(fmt.Errorf("container's cgroup is not empty: %d process(es) found", len(pids)))
	}
	return cgroupdemo.Adopt(hs, cgroupConfig(m.Cgroup))
}

// limitGroup writes the limits of linux.resources into the group, once: before the
// hooks, which may look at them and change them; without hooks while the stage
// performs its last script, or when all is made.
func (m *making) limitGroup() error {
	if m.groups == nil || m.limited {
		return nil
	}
	m.limited = true
	var r specs.LinuxResources
	if m.Spec.Linux.Resources != nil {
		r = *m.Spec.Linux.Resources
	}
	r.Devices = append(append([]specs.LinuxDeviceCgroup{}, r.Devices...), allowedDevices...)
	return setLimitsOf(m.groups.own, r)
}
