package nsdemo

import (
	"context"
	"errors"
	"fmt"

	"cutaway/internal/inside"
)

// StartBeside makes a process that shares some namespaces with another one, by
// setns(2), and has new ones of other kinds, by the clone(2) that follows:
// docker run --network=container:NAME, and the containers of a Kubernetes pod.
// The kinds of the spec must not be among those that are shared.
func StartBeside(ctx context.Context, pid int, shared []Kind, s Spec) (*Process, error) {
	attr, err := Plan(s, UserID{})
	if err != nil {
		return nil, err
	}
	join := &inside.Join{Pid: pid}
	for _, k := range shared {
		if s.Has(k) {
			return nil, fmt.Errorf("namespace %s of process %d is to be shared, and a new one is asked for", k, pid)
		}
		join.Kinds = append(join.Kinds, string(k))
	}
	helper, err := inside.Start(ctx, inside.Config{Join: join, Attr: attr, Offsets: s.Offsets.Text()})
	if err != nil {
		return nil, fmt.Errorf("setns to %v of process %d, clone into new %v: %w", shared, pid, s.Kinds, err)
	}
	p := &Process{helper: helper}
	if err := p.setUp(ctx, s); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}
