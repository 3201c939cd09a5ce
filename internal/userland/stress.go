package userland

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stress makes load by worker processes, one per unit, so that each is seen in
// the process list, in cgroup.procs and by the kernel's out-of-memory killer.
// Options are named as those of the well-known stress(1).
type stress struct {
	cpu, vm, io, hdd, fork int
	vmBytes, hddBytes      string
	timeout                string
	quiet                  bool
}

func runStress(c *call) error {
	var s stress
	f := c.flags()
	f.IntVarP(&s.cpu, "cpu", "c", 0, "workers that compute")
	f.IntVarP(&s.vm, "vm", "m", 0, "workers that take memory, touch it and keep it")
	f.StringVar(&s.vmBytes, "vm-bytes", "256m", "memory of each vm worker")
	f.IntVarP(&s.io, "io", "i", 0, "workers that call sync(2)")
	f.IntVarP(&s.hdd, "hdd", "d", 0, "workers that write a file without a name, again and again")
	f.StringVar(&s.hddBytes, "hdd-bytes", "64m", "size of each hdd worker's file")
	f.IntVar(&s.fork, "fork", 0, "processes that only sleep")
	f.StringVarP(&s.timeout, "timeout", "t", "0", "end after this time: 10, 10s, 2m")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "say nothing but errors")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	limit, err := parseSeconds(s.timeout)
	if err != nil {
		return err
	}
	if s.cpu+s.vm+s.io+s.hdd+s.fork == 0 {
		return fmt.Errorf("nothing to do: give --cpu, --vm, --io, --hdd or --fork")
	}
	return s.supervise(c, limit)
}

// supervise starts the workers and waits until the time is up, a signal comes or
// a worker fails. Whatever happens, no worker is left.
func (s stress) supervise(c *call, limit time.Duration) error {
	runtime.LockOSThread() // Pdeathsig follows the thread that started them
	began := time.Now()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	var up <-chan time.Time
	if limit > 0 {
		up = time.After(limit)
	}
	workers, err := s.start(c)
	defer func() {
		for _, w := range workers {
			w.Process.Kill()
		}
	}()
	if err != nil {
		return err
	}
	s.say(c, "%d cpu, %d vm, %d io, %d hdd, %d fork", s.cpu, s.vm, s.io, s.hdd, s.fork)
	ended := make(chan error, len(workers))
	for _, w := range workers {
		go func() { ended <- outcome(w) }()
	}
	select {
	case err := <-ended:
		return err
	case sig := <-signals:
		return exitCode(128 + int(sig.(syscall.Signal)))
	case <-up:
		s.say(c, "done after %v", time.Since(began).Round(time.Second))
		return nil
	}
}

func (s stress) say(c *call, format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(c.out, c.name+": "+format+"\n", args...)
	}
}

// outcome waits for a worker, which ends by itself only if something went wrong.
func outcome(w *exec.Cmd) error {
	err := w.Wait()
	what := w.Args[1]
	if ws, ok := w.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Errorf("worker %d (%s) was ended by signal %d (%s)", w.Process.Pid, what, ws.Signal(), ws.Signal())
	}
	return fmt.Errorf("worker %d (%s) ended: %v", w.Process.Pid, what, err)
}

// start starts all workers. What was started when one fails comes with the error.
func (s stress) start(c *call) (workers []*exec.Cmd, err error) {
	vm, err := parseSize(s.vmBytes)
	if err != nil {
		return nil, err
	}
	hdd, err := parseSize(s.hddBytes)
	if err != nil {
		return nil, err
	}
	for _, kind := range []struct {
		name  string
		count int
		bytes int64
	}{{"cpu", s.cpu, 0}, {"vm", s.vm, vm}, {"io", s.io, 0}, {"hdd", s.hdd, hdd}, {"fork", s.fork, 0}} {
		for i := range kind.count {
			w := &exec.Cmd{
				Path: "/proc/self/exe", Args: []string{workerName, kind.name, strconv.FormatInt(kind.bytes, 10)}, Stderr: c.err,
				SysProcAttr: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
			}
			if path, err := exec.LookPath("sleep"); kind.name == "fork" && err == nil {
				// A small program: each process of ours would count several
				// times against pids.max, for threads are counted.
				w.Path, w.Args = path, []string{"sleep", "1000000"}
			}
			if err := w.Start(); err != nil {
				return workers, fmt.Errorf("%s worker %d of %d: %w", kind.name, i+1, kind.count, err)
			}
			workers = append(workers, w)
		}
	}
	return workers, nil
}
