package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/spawn"
)

// Process is one that exec started. The caller is its parent.
type Process struct {
	Pid      int
	Terminal *Terminal // with Options.Front and a terminal
}

// Exec starts one more process in a running container. Its namespaces, seccomp
// filter and cgroups are the container's; all else is in the process object.
func (c *Container) Exec(p *specs.Process, o Options) (*Process, error) {
	if err := errors.Join(ValidateProcess(p), o.checkTerminal(p.Terminal)); err != nil {
		return nil, err
	}
	switch status := c.Status(); {
	case status == Stopped || status == Creating:
		return nil, errors.New("cannot exec in a stopped container")
	case status == Paused && !o.IgnorePaused:
		return nil, errors.New("cannot exec in a paused container (use --ignore-paused to override)")
	}
	j := &joining{Container: c, process: p, opts: o}
	defer j.close()
	for _, step := range []func() error{
		j.openConsole, // where the terminal's master goes
		j.startInit,   // a process in the container's namespaces and cgroups
		j.setScore,    // /proc/PID/oom_score_adj
		j.giveOrders,  // init becomes the user now
		j.answerInit,  // resource limits when it asks, then ready or an error
		j.awaitExec,   // the program runs, or the exec says why not
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, j.takeBack())
		}
	}
	return &Process{j.pid, j.terminal}, writePidFile(o.PidFile, j.pid)
}

// joining is a process on its way into a container.
type joining struct {
	*Container
	process  *specs.Process
	opts     Options
	pid      int
	near     wire
	console  *os.File
	terminal *Terminal
}

func (j *joining) openConsole() error {
	var err error
	j.console, j.terminal, err = j.opts.openConsole(j.process.Terminal)
	return err
}

// startInit starts the init stage in the container's namespaces, all of them by
// one setns(2) on the container's pidfd: no path, and no other process can be
// meant.
func (j *joining) startInit() error {
	pidfd, err := j.pidfd()
	if err != nil {
		return err
	}
	defer pidfd.Close()
	exe, err := spawn.Sealed()
	if err != nil {
		return err
	}
	defer exe.Close()
	near, far, err := newWire()
	if err != nil {
		return err
	}
	defer far.f.Close()
	j.near = near
	keep := []*os.File{far.f}
	if j.console != nil {
		keep = append(keep, j.console)
	}
	if _, err := j.openGroups(); err != nil && !mayLackCgroups(err) {
		return err
	}
	kinds := j.foreign()
	j.pid, err = j.groups.start(spawn.Process{Exe: exe, Argv: initArgv(far), Env: initEnv,
		Join: []spawn.Namespace{{File: pidfd, Kinds: kinds}}, Root: kinds&unix.CLONE_NEWUSER != 0,
		Stdio: j.opts.stdio(), Keep: keep})
	return err
}

// foreign are the kinds of namespace that the container does not share with the
// caller. The others are left out: the kernel refuses to join the user namespace
// that one is in already.
func (c *Container) foreign() uintptr {
	var flags uintptr
	for _, k := range kinds() {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", c.Pid, k.file))
		ours, _ := os.Readlink("/proc/self/ns/" + k.file)
		if err == nil && theirs != ours {
			flags |= k.flag
		}
	}
	return flags
}

func (j *joining) setScore() error { return setOOMScore(j.pid, j.process.OOMScoreAdj) }

// giveOrders sends the container's spec with the other process in it, as the
// init stage reads a whole one.
func (j *joining) giveOrders() error {
	spec := *j.Spec
	spec.Process = j.process
	raw, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	filter, err := compileFilter(&spec)
	if err != nil {
		return err
	}
	o := order{State: j.State, Exec: true, Tree: -1, Fifo: -1, Console: number(j.console), Preserve: j.opts.Preserve,
		Keyring: !j.opts.NoNewKeyring}
	return j.near.sendOrders(o, raw, filter)
}

func (j *joining) answerInit() error {
	return j.near.attend(map[string]func(reply) error{
		askLimits:   func(reply) error { return setLimits(j.pid, j.process) },
		askListener: j.sendListener,
	})
}

func (j *joining) awaitExec() error { return j.near.awaitExec() }

// takeBack ends a process that did not become what it should.
func (j *joining) takeBack() error {
	if j.pid == 0 {
		return nil
	}
	unix.Kill(j.pid, unix.SIGKILL)
	_, err := unix.Wait4(j.pid, nil, 0, nil)
	return err
}

func (j *joining) close() { closeAll([]*os.File{j.near.f, j.console}) }
