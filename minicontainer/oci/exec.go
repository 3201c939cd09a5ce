package oci

import (
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
		j.startStage,  // a process in the container's namespaces and cgroups
		j.setScore,    // /proc/PID/oom_score_adj
		j.finishStage, // it becomes the user now
		j.awaitExec,   // the program runs, or the exec says why not
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, j.takeBack())
		}
	}
	return &Process{j.stage.pid, j.terminal}, writePidFile(o.PidFile, j.stage.pid)
}

// joining is a process on its way into a container.
type joining struct {
	*Container
	process  *specs.Process
	opts     Options
	stage    *stage
	pidfd    *os.File // of the container
	console  *os.File
	terminal *Terminal
}

func (j *joining) openConsole() error {
	var err error
	j.console, j.terminal, err = j.opts.openConsole(j.process.Terminal)
	return err
}

// startStage starts the process in the container's namespaces, all of them by
// one setns(2) on the container's pidfd: no path, and no other process can be
// meant.
func (j *joining) startStage() error {
	var err error
	if j.pidfd, err = j.openPidfd(); err != nil {
		return err
	}
	spec := *j.Spec
	spec.Process = j.process
	b := &box{state: j.State, joins: true, spec: &spec, console: j.console, preserve: j.opts.Preserve,
		keyring: !j.opts.NoNewKeyring, stdio: j.opts.stdio(), outside: j}
	if b.filter, err = compileFilter(&spec); err != nil {
		return err
	}
	if err := b.identify(); err != nil {
		return err
	}
	if _, err := j.openGroups(); err != nil && !mayLackCgroups(err) {
		return err
	}
	groups, err := j.groups.below(j.opts.Cgroups)
	if err != nil {
		return err
	}
	kinds := j.foreign()
	if j.stage, err = newStage(b, canVisit(kinds, specs.Hooks{})); err != nil {
		return err
	}
	j.stage.listener = j.sendListener
	return j.stage.start(groups, spawn.Process{Join: []spawn.Namespace{{File: j.pidfd, Kinds: kinds}},
		Root: kinds&unix.CLONE_NEWUSER != 0, Stdio: b.stdio})
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

func (j *joining) setScore() error { return setOOMScore(j.stage.pid, j.process.OOMScoreAdj) }

func (j *joining) finishStage() error { return j.stage.finish(j.pidfd, j.foreign()) }

// runtimeHooks belong to the making of a container.
func (j *joining) runtimeHooks() error { return nil }

func (j *joining) limits() error { return setLimits(j.stage.pid, j.process) }

func (j *joining) awaitExec() error { return j.stage.awaitExec() }

// takeBack ends a process that did not become what it should.
func (j *joining) takeBack() error {
	if j.stage == nil {
		return nil
	}
	return j.stage.end()
}

func (j *joining) close() {
	closeAll([]*os.File{j.console, j.pidfd})
	if j.stage != nil {
		j.stage.near.f.Close()
		j.stage.close()
	}
}
