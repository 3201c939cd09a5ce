package netdemo

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Socket is one line of /proc/net/tcp, tcp6, udp or udp6.
type Socket struct {
	Proto  Protocol
	Local  netip.AddrPort
	Remote netip.AddrPort
	State  string // "LISTEN", "ESTABLISHED" ...; for UDP "CLOSE" means not connected
	Inode  uint64 // the number in "socket:[12345]"
}

// Sockets lists the TCP and UDP sockets of ns from /proc/net, which shows those of the reading
// thread's namespace. See proc_pid_net(5).
func Sockets(ns *Namespace) ([]Socket, error) {
	var all []Socket
	err := ns.Do(func() error {
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
			f, err := os.Open(procRoot + "/thread-self/net/" + name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a kernel without IPv6
			}
			if err != nil {
				return err
			}
			list, err := parseSockets(f, Protocol(name[:3]))
			f.Close()
			if err != nil {
				return err
			}
			all = append(all, list...)
		}
		return nil
	})
	return all, wrap("list sockets", ns.path, err)
}

// The numbers are those of include/net/tcp_states.h.
var socketStates = []string{"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
	"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"}

// parseSockets reads lines such as
//
//	0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 ...
//
// with the local and the remote address, the state, and in the tenth column the inode.
func parseSockets(r io.Reader, proto Protocol) ([]Socket, error) {
	var out []Socket
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			return nil, fmt.Errorf("%w: %d columns in %q", ErrInvalid, len(f), lines.Text())
		}
		local, err1 := parseHexAddr(f[1])
		remote, err2 := parseHexAddr(f[2])
		state, err3 := strconv.ParseUint(f[3], 16, 8)
		inode, err4 := strconv.ParseUint(f[9], 10, 64)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, lines.Text(), err)
		}
		s := Socket{Proto: proto, Local: local, Remote: remote, Inode: inode}
		if int(state) < len(socketStates) {
			s.State = socketStates[state]
		}
		out = append(out, s)
	}
	return out, lines.Err()
}

// parseHexAddr reads "0100007F:0016". Each group of four bytes is a number in the machine's own
// byte order, so 127.0.0.1 reads backwards on x86; the port is in the usual order.
func parseHexAddr(s string) (netip.AddrPort, error) {
	addr, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(addr)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%w: address %q", ErrInvalid, s)
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip, uint16(n)), err
}

// Owner is a process that has a socket open.
type Owner struct {
	Pid     int
	Command string
}

// SocketOwner finds a process with the socket among its open files: the link /proc/PID/fd/N reads
// "socket:[inode]". The caller sees the processes of its own pid namespace only.
func SocketOwner(inode uint64) (Owner, error) {
	want := fmt.Sprintf("socket:[%d]", inode)
	links, _ := filepath.Glob(procRoot + "/[0-9]*/fd/*")
	for _, link := range links {
		if got, _ := os.Readlink(link); got != want {
			continue
		}
		dir := filepath.Dir(filepath.Dir(link))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		comm, _ := os.ReadFile(dir + "/comm")
		return Owner{pid, strings.TrimSpace(string(comm))}, nil
	}
	return Owner{}, &Error{Op: "find owner of", Subject: want, Err: ErrNotFound}
}
