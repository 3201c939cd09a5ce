package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Machine is a running guest whose agent has answered.
type Machine struct {
	// Release is the guest's uname -r, Accel what it runs on ("kvm" or "tcg").
	Release, Accel string
	// BootTime is from power-on to the agent's first answer; KernelTime is what the
	// guest's own clock saw until then, in a kept one before it was kept.
	BootTime, KernelTime time.Duration

	qemu    *process
	link    *link
	silence time.Duration
	hello   chan hello
	heard   atomic.Int64 // when the last frame came, Unix nanoseconds
	next    atomic.Uint32

	once   sync.Once
	failed chan struct{} // closed when the machine is lost
	cause  error         // why; read it after failed
}

// Boot starts a machine and returns when its agent has answered. On any error, also
// when ctx ends first, nothing of it is left. Afterwards ctx has no influence.
func Boot(ctx context.Context, cfg Config) (*Machine, error) {
	cfg = cfg.withDefaults()
	what := "boot kernel " + cfg.Kernel.Name
	if err := cfg.Validate(); err != nil {
		return nil, explain(what, err)
	}
	qemu, err := findQEMU()
	if err != nil {
		return nil, explain(what, err)
	}
	if cfg.CacheDir == "" {
		if cfg.CacheDir, err = DefaultCacheDir(); err != nil {
			return nil, err
		}
	}
	switch cfg.Accel {
	case "kvm":
		return bootWith(ctx, qemu, cfg, "kvm", cfg.Deadline)
	case "tcg":
		return bootKept(ctx, qemu, cfg)
	}
	return bootAuto(ctx, qemu, cfg)
}

// bootAuto tries KVM when it may work, then TCG. The answer is only remembered once
// TCG has shown that the kernel as such boots.
func bootAuto(ctx context.Context, qemu string, cfg Config) (*Machine, error) {
	broken := newKVMBroken(cfg.CacheDir, qemu)
	if !mayUseKVM() || broken.Known() {
		return bootKept(ctx, qemu, cfg)
	}
	if m, err := bootWith(ctx, qemu, cfg, "kvm", kvmPatience); err == nil || ctx.Err() != nil {
		return m, err
	}
	m, err := bootKept(ctx, qemu, cfg)
	if err == nil {
		broken.Remember()
	}
	return m, err
}

func bootWith(ctx context.Context, qemu string, cfg Config, accel string, deadline time.Duration) (*Machine, error) {
	what := fmt.Sprintf("boot kernel %s (%s)", cfg.Kernel.Name, accel)
	start := time.Now()
	p, err := startQEMU(qemu, cfg, accel)
	if err != nil {
		return nil, explain(what, err)
	}
	m := &Machine{Accel: accel, qemu: p, link: newLink(p.line), silence: cfg.Silence,
		hello: make(chan hello, 1), failed: make(chan struct{})}
	m.heard.Store(start.UnixNano())
	go m.serve()
	go m.watch()
	if cfg.state != "" {
		go func() {
			if err := m.resume(ctx); err != nil {
				m.fail(err)
			}
		}()
	}
	select {
	case h := <-m.hello:
		m.Release, m.BootTime = h.Release, time.Since(start)
		m.KernelTime = time.Duration(h.Uptime * float64(time.Second))
		go m.keepAlive()
		return m, nil
	case <-ctx.Done():
		m.fail(ctx.Err())
	case <-time.After(deadline):
		m.fail(fmt.Errorf("%w: no agent within %v of power-on", ErrSilent, deadline))
	case <-m.failed:
	}
	p.Kill()
	return nil, m.failure(what)
}

// causePatience is how long after the end of the line its cause may show: the console
// and the end of QEMU are noticed by others.
const causePatience = 2 * time.Second

// serve reads the line to its end. Commands learn why it ended, not that it did.
func (m *Machine) serve() {
	err := m.link.Serve(m.handle)
	select {
	case <-m.failed:
	case <-time.After(causePatience):
		m.fail(fmt.Errorf("%w: the line to its agent ended: %w", ErrGone, err))
	}
}

// watch finds out how a machine dies: the console shows a panic, or QEMU ends.
func (m *Machine) watch() {
	select {
	case <-m.qemu.console.panic:
		// QEMU ends by itself (panic=-1, -no-reboot) after the report is printed.
		select {
		case <-m.qemu.ended:
		case <-time.After(time.Second):
		}
		m.fail(ErrPanic)
	case <-m.qemu.ended:
		if m.qemu.console.PanicReport() != "" {
			m.fail(ErrPanic)
		} else {
			m.fail(fmt.Errorf("%w: %w%s", ErrGone, endOf(m.qemu.err), complaint(m.qemu.stderr.String())))
		}
	case <-m.failed:
	}
}

func endOf(err error) error {
	if err == nil {
		return errors.New("the guest reset or powered off")
	}
	return err
}

func complaint(stderr string) string {
	if stderr = strings.TrimSpace(stderr); stderr != "" {
		return ": " + stderr
	}
	return ""
}

// handle takes the frames that belong to no pipe. It must not wait.
func (m *Machine) handle(f frame) {
	m.heard.Store(time.Now().UnixNano())
	switch f.Kind {
	case kindHello:
		var h hello
		if json.Unmarshal(f.Payload, &h) == nil {
			select {
			case m.hello <- h:
			default: // said twice
			}
		}
	case kindExit:
		if s := m.link.Stream(f.Stream); s != nil {
			var o outcome
			if err := json.Unmarshal(f.Payload, &o); err != nil {
				o.Failed = "unreadable outcome: " + err.Error()
			}
			s.exit(o)
		}
	}
}

// keepAlive pings the guest and gives it up when it stays silent.
func (m *Machine) keepAlive() {
	tick := time.NewTicker(m.silence / 6)
	defer tick.Stop()
	for {
		select {
		case <-m.failed:
			return
		case <-tick.C:
		}
		quiet := time.Since(time.Unix(0, m.heard.Load()))
		if quiet > m.silence {
			m.fail(fmt.Errorf("%w: nothing heard for %v", ErrSilent, quiet.Round(time.Second)))
			return
		}
		// In a goroutine of its own: a hung guest does not take bytes, and the
		// write would wait with it.
		go func() { _ = m.link.Send(frame{Kind: kindPing}) }()
	}
}

// fail records the first cause and pulls the plug.
func (m *Machine) fail(cause error) {
	m.once.Do(func() {
		m.cause = cause
		m.link.Fail(cause)
		close(m.failed)
		go m.qemu.Kill()
	})
}

// failure explains why the machine was lost, with the console where it helps.
func (m *Machine) failure(what string) error {
	err := explain(what, m.cause)
	var f *Failure
	if errors.As(err, &f) && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
		f.Console = m.qemu.console.PanicReport()
		if f.Console == "" {
			f.Console = m.qemu.console.Tail(8)
		}
	}
	return err
}

// Err returns why the machine was lost, or nil while it runs.
func (m *Machine) Err() error {
	select {
	case <-m.failed:
		return m.failure("guest " + m.Release)
	default:
		return nil
	}
}

// Failed is closed when the machine is lost; Err then says why.
func (m *Machine) Failed() <-chan struct{} { return m.failed }

// Console returns the last n lines of the guest's console.
func (m *Machine) Console(n int) string { return m.qemu.console.Tail(n) }

// Close pulls the plug and waits until QEMU is gone. It may be called twice.
func (m *Machine) Close() error {
	m.fail(ErrClosed)
	m.qemu.Kill()
	return nil
}
