package walk

import (
	"context"
	"fmt"
	"os"

	"cutaway/internal/vm"
)

// RelayCommand is the hidden command that cutaway runs in a VM: it is the
// front there, so that the guest's machine is put back and compared as well.
const RelayCommand = "__relay"

// VM is a throwaway virtual machine.
type VM struct {
	Machine *vm.Machine
	Release string // of its kernel
}

// Name is "vm".
func (v VM) Name() string { return "vm" }

// Kernel is the release of the guest's kernel.
func (v VM) Kernel() string { return v.Release }

// Start runs the relay in the guest. Its lines travel over the machine's
// serial port.
func (v VM) Start(_ context.Context, _ string, in, out *os.File) (Process, error) {
	// Not the caller's context: the end of its input lets the relay put things
	// back; only Kill cuts it off.
	ctx, cancel := context.WithCancel(context.Background())
	p := &guestProcess{cancel: cancel, done: make(chan error, 1)}
	go func() {
		defer in.Close()
		defer out.Close()
		code, err := v.Machine.Run(ctx, vm.Command{
			Args: []string{vm.SelfPath, RelayCommand}, Stdin: in, Stdout: out, Stderr: os.Stderr,
		})
		if err == nil && code != 0 {
			err = fmt.Errorf("the relay in the guest exited with %d", code)
		}
		p.done <- err
	}()
	return p, nil
}

type guestProcess struct {
	cancel context.CancelFunc
	done   chan error
}

func (p *guestProcess) Wait() error { defer p.cancel(); return <-p.done }
func (p *guestProcess) Kill() error { p.cancel(); return nil }
