package netdemo

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ProxyProcess is a running proxy. Start is field 22 of /proc/PID/stat: a pid is used again, a pid
// with its start time is not.
type ProxyProcess struct {
	Pid   int
	Start uint64
	Args  []string
}

// StartProxy starts the proxy as a process of its own in the host's namespace and returns once it
// listens. It outlives the caller. The program must call Main first thing. A port that is taken gives
// ErrPortInUse.
func StartProxy(host *Namespace, spec PortSpec, target netip.AddrPort) (ProxyProcess, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return ProxyProcess{}, wrap("start proxy", spec.String(), err)
	}
	defer read.Close()
	// By its link in /proc and not by its path: the file may have been replaced or be out of reach.
	cmd := exec.Command(procRoot + "/self/exe")
	cmd.Args, cmd.Dir, cmd.ExtraFiles = proxyArgs(spec, target), "/", []*os.File{write}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true} // a Ctrl-C at the terminal is not meant for it
	err = host.Do(cmd.Start)
	write.Close()
	if err != nil {
		return ProxyProcess{}, wrap("start proxy", spec.String(), err)
	}
	go cmd.Wait() // reaps it whenever it ends
	if err := awaitReady(read); err != nil {
		cmd.Process.Kill()
		return ProxyProcess{}, wrap("start proxy", spec.String(), err)
	}
	start, err := startTime(cmd.Process.Pid)
	return ProxyProcess{cmd.Process.Pid, start, cmd.Args}, wrap("start proxy", spec.String(), err)
}

func awaitReady(r *os.File) error {
	r.SetReadDeadline(time.Now().Add(10 * time.Second))
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if string(text) == "0\n" {
		return nil
	}
	if strings.Contains(string(text), unix.EADDRINUSE.Error()) {
		return errors.Join(ErrPortInUse, unix.EADDRINUSE)
	}
	return fmt.Errorf("the proxy said %q", text)
}

// Stop ends the proxy with SIGTERM and waits until it is gone, also when another process started it.
// A process with the same pid but another start time is left alone.
func (p ProxyProcess) Stop() error {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return wrap("stop proxy", strconv.Itoa(p.Pid), err)
	}
	defer unix.Close(fd)
	// Looked at after pidfd_open: from here on the descriptor means this process and no later one.
	if start, err := startTime(p.Pid); err != nil || start != p.Start {
		return nil
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && err != unix.ESRCH {
			return wrap("stop proxy", strconv.Itoa(p.Pid), err)
		}
		// A pidfd becomes readable when the process has ended.
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 3000); n > 0 {
			p.awaitReaped()
			return nil
		}
	}
	return &Error{Op: "stop proxy", Subject: strconv.Itoa(p.Pid), Err: unix.ETIMEDOUT}
}

// awaitReaped waits until the ended process has left the process table too. That is its parent's to
// do, so there is a bound.
func (p ProxyProcess) awaitReaped() {
	for range 100 {
		if start, err := startTime(p.Pid); err != nil || start != p.Start {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", procRoot, pid))
	if err != nil {
		return 0, err
	}
	return parseStartTime(string(b))
}

// parseStartTime takes field 22 of "pid (name) state ...". The name may hold spaces and brackets, so
// counting starts behind the last bracket, where field 3 stands.
func parseStartTime(stat string) (uint64, error) {
	i := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[i+1:])
	if i < 0 || len(fields) < 20 {
		return 0, fmt.Errorf("%w: stat line %q", ErrInvalid, stat)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// StopProxies ends every proxy that runs in the host's namespace, recorded or not: what is left when
// the process that started them was killed.
func StopProxies(host *Namespace) error {
	want, err := host.Inode()
	if err != nil {
		return err
	}
	lists, err := filepath.Glob(procRoot + "/[0-9]*/cmdline")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if !strings.HasPrefix(string(text), ProxyName+"\x00") {
			continue
		}
		dir := filepath.Dir(list)
		var st unix.Stat_t
		if unix.Stat(dir+"/ns/net", &st) != nil || st.Ino != want {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if start, startErr := startTime(pid); startErr == nil {
			err = errors.Join(err, ProxyProcess{Pid: pid, Start: start}.Stop())
		}
	}
	return err
}
