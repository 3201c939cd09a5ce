package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hookError names the list and the place of the hook that failed, as the
// operator has to find it in config.json.
type hookError struct {
	list   string
	index  int
	output string
	err    error
}

func (e *hookError) Error() string {
	return fmt.Sprintf("error running %s hook #%d: %v, stdout+stderr: %s", e.list, e.index, e.err, strings.TrimSpace(e.output))
}

func (e *hookError) Unwrap() error { return e.err }

// runHooks runs a list in order, in a folder, and stops at the first failure.
// Every hook gets the state on its standard input.
func runHooks(list, dir string, hooks []specs.Hook, state specs.State) error {
	for i, h := range hooks {
		if err := runHook(h, dir, state); err != nil {
			err.list, err.index = list, i
			return err
		}
	}
	return nil
}

// runAllHooks runs every hook whatever the others did: the rule for poststop.
func runAllHooks(list, dir string, hooks []specs.Hook, state specs.State) error {
	var errs []error
	for i, h := range hooks {
		if err := runHook(h, dir, state); err != nil {
			err.list, err.index = list, i
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func runHook(h specs.Hook, dir string, state specs.State) *hookError {
	text, err := json.Marshal(state)
	if err != nil {
		return &hookError{err: err}
	}
	ctx := context.Background()
	if h.Timeout != nil {
		limit, cancel := context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		defer cancel()
		ctx = limit
	}
	cmd := exec.CommandContext(ctx, h.Path)
	cmd.Dir = dir
	if len(h.Args) > 0 {
		cmd.Args = h.Args // args[0] is the name, as in execv(3)
	}
	// Exactly the hook's environment: the runtime's own may hold secrets of the host.
	cmd.Env = append([]string{}, h.Env...)
	cmd.Stdin = bytes.NewReader(text)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipe open must not keep us
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("hook ran past specified timeout of %ds: %w", *h.Timeout, ctx.Err())
	}
	if err != nil {
		return &hookError{output: out.String(), err: err}
	}
	return nil
}

// hookLists never is nil, so that a spec without hooks needs no special case.
func hookLists(spec *specs.Spec) specs.Hooks {
	if spec.Hooks == nil {
		return specs.Hooks{}
	}
	return *spec.Hooks
}

// hasCreateHooks says whether any belong between the mounts and the pivot.
func hasCreateHooks(spec *specs.Spec) bool {
	h := hookLists(spec)
	//lint:ignore SA1019 old bundles and their engines still use prestart
	return len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0
}
