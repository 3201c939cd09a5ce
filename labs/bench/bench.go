package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cutaway/internal/inside"
	"cutaway/internal/journal"
	"cutaway/nsdemo"
)

// Bench is what the acts and views of one lab work with. It lives as long as
// the lab is being performed.
type Bench struct {
	// Dir is the scratch folder: a tmpfs that only the lab host sees.
	Dir string
	// Params are the learner's own choices (--set NAME=VALUE).
	Params map[string]string
	// Where the lab runs: "host", "userns" or "vm".
	Where string

	run    *journal.Run
	kept   map[string]Subject         // processes that steps started
	joined map[string]*nsdemo.Process // ours, in the namespaces of a process of the shell's
	values map[string]any
}

// Subject is a process that a step started and keeps on the bench: a
// *nsdemo.Process, or an *inside.Helper that runs a load.
type Subject interface {
	Pid() int
	Close() error
}

// New is a bench on a scratch folder, with the journal of its run.
func New(dir, where string, run *journal.Run, params map[string]string) *Bench {
	return &Bench{
		Dir: dir, Where: where, Params: params, run: run,
		kept: map[string]Subject{}, joined: map[string]*nsdemo.Process{}, values: map[string]any{},
	}
}

// Path is a path in the scratch folder.
func (b *Bench) Path(elem ...string) string {
	return filepath.Join(append([]string{b.Dir}, elem...)...)
}

// RunID names this run; what a lab makes on the real machine carries it.
func (b *Bench) RunID() string { return b.run.ID }

// Param is the learner's choice, or the default that the lab sets.
func (b *Bench) Param(name, otherwise string) string {
	if _, ok := b.Params[name]; !ok {
		b.Params[name] = otherwise
	}
	return b.Params[name]
}

// Intend puts an undo into the journal. Call it before the act that it undoes.
func (b *Bench) Intend(u journal.Undo) error { return b.run.Intend(u) }

// Set and Get hand a Go value (an open group, a handle) from one step to the
// next. Never evidence: that is read from the kernel.
func (b *Bench) Set(name string, value any) { b.values[name] = value }

// Get is the value of an earlier step, or the zero value when there is none.
func Get[T any](b *Bench, name string) T {
	v, _ := b.values[name].(T)
	return v
}

// ErrNoSubject says that the named process does not exist (yet).
var ErrNoSubject = errors.New("no such process on the bench")

// Keep puts a process under a name. Its pid also goes into NAME.pid in the
// scratch folder, so that later shell lines find it.
func (b *Bench) Keep(name string, s Subject) error {
	if err := b.Drop(name); err != nil {
		return err
	}
	b.kept[name] = s
	return os.WriteFile(b.Path(name+".pid"), []byte(strconv.Itoa(s.Pid())+"\n"), 0o644)
}

// Kept is the process of that name as the step that started it knows it, or
// the zero value when a shell line started it, or nobody.
func Kept[T Subject](b *Bench, name string) T {
	s, _ := b.kept[name].(T)
	return s
}

// Pid is the process of that name, made by a step or by a shell line. The
// error is ErrNoSubject when there is none or it has ended.
func (b *Bench) Pid(name string) (int, error) {
	text, err := os.ReadFile(b.Path(name + ".pid"))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, ErrNoSubject)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s.pid holds %q, want a process id: %w", name, text, ErrNoSubject)
	}
	if _, err := journal.ProcessOf(pid); err != nil {
		return 0, fmt.Errorf("%s (process %d has ended): %w", name, pid, ErrNoSubject)
	}
	return pid, nil
}

// Inside is a process in the namespaces of the named one, to act and read
// there: the named process itself where a step started it with nsdemo, else
// one that joins it.
func (b *Bench) Inside(ctx context.Context, name string) (*nsdemo.Process, error) {
	if p := Kept[*nsdemo.Process](b, name); p != nil {
		return p, nil
	}
	if p, ok := b.joined[name]; ok {
		return p, nil
	}
	pid, err := b.Pid(name)
	if err != nil {
		return nil, err
	}
	kinds, err := foreign(pid)
	if err != nil {
		return nil, err
	}
	p, err := nsdemo.Join(ctx, pid, kinds...)
	if err != nil {
		return nil, fmt.Errorf("enter the namespaces of %s: %w", name, err)
	}
	b.joined[name] = p
	return p, nil
}

// Enter starts a helper in all namespaces of a process, with the given
// environment and files (from fd 4 on).
func Enter(ctx context.Context, pid int, env []string, files ...*os.File) (*inside.Helper, error) {
	kinds, err := foreign(pid)
	if err != nil {
		return nil, err
	}
	join := &inside.Join{Pid: pid}
	for _, k := range kinds {
		join.Kinds = append(join.Kinds, string(k))
	}
	h, err := inside.Start(ctx, inside.Config{Join: join, Env: env, Files: files})
	if err != nil {
		return nil, fmt.Errorf("enter the namespaces of process %d: %w", pid, err)
	}
	return h, nil
}

// foreign lists the kinds of namespace in which the process differs from us.
// Those that are equal need not be joined, and a user namespace must not be
// joined twice (setns(2): EINVAL).
func foreign(pid int) ([]nsdemo.Kind, error) {
	theirs, err := nsdemo.IDs("/proc", pid)
	if err != nil {
		return nil, err
	}
	ours, err := nsdemo.IDs("/proc", os.Getpid())
	if err != nil {
		return nil, err
	}
	return nsdemo.Differing(ours, theirs), nil
}

// Forget lets go of the helper that joined a process, when a step is about to
// end that process or to change its namespaces.
func (b *Bench) Forget(name string) error {
	p, ok := b.joined[name]
	if !ok {
		return nil
	}
	delete(b.joined, name)
	return p.Close()
}

// Drop ends the process of that name that a step started, if there is one.
func (b *Bench) Drop(name string) error {
	err := b.Forget(name)
	if s, ok := b.kept[name]; ok {
		delete(b.kept, name)
		err = errors.Join(err, s.Close())
	}
	return err
}

// Close ends every process that the bench keeps.
func (b *Bench) Close() error {
	var errs []error
	for name := range b.joined {
		errs = append(errs, b.Forget(name))
	}
	for name := range b.kept {
		errs = append(errs, b.Drop(name))
	}
	return errors.Join(errs...)
}
