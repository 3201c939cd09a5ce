package netdemo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// The userland proxy is a process in the host's namespace that listens on a published port and copies
// what comes to the container. It serves the two cases that DNAT alone does not: connections from the
// host's own loopback (127.0.0.1 is not routed), and from the containers behind the same bridge. And
// while it listens, no other program can take the port.
//
// The process is this same program, started again under another name. It takes docker-proxy's flags:
//
//	cutaway-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.18.0.2 -container-port 80

// ProxyName is the argv[0] by which Main knows that it is to be the proxy.
const ProxyName = "cutaway-proxy"

// readyFd is where the proxy says "0\n" once it listens, or "1\n" and why not: docker-proxy's way.
const readyFd = 3

// Main makes this process the proxy, and does not return, if it was started as one. A program that
// uses StartProxy calls it first thing in main; a test, in TestMain.
func Main() {
	if filepath.Base(os.Args[0]) != ProxyName {
		return
	}
	ready := os.NewFile(readyFd, "ready")
	if err := proxyMain(os.Args[1:], ready); err != nil {
		fmt.Fprintf(ready, "1\n%v", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func proxyMain(args []string, ready *os.File) error {
	spec, target, err := proxyFlags(args)
	if err != nil {
		return err
	}
	// The heap is a few megabytes at most: let it grow to some more before each collection.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	serve, err := listenProxy(spec, target)
	if err != nil {
		return err
	}
	fmt.Fprint(ready, "0\n")
	ready.Close()
	return serve(ctx)
}

// listenProxy binds the port, so that errors are known before ready is said.
func listenProxy(spec PortSpec, target netip.AddrPort) (func(context.Context) error, error) {
	if spec.Proto == UDP {
		c, err := ListenUDPProxy(listenNetwork(spec), listenAddress(spec))
		return func(ctx context.Context) error { return ServeUDP(ctx, c, target) }, err
	}
	l, err := ListenTCPProxy(listenNetwork(spec), listenAddress(spec))
	return func(ctx context.Context) error { return ServeTCP(ctx, l, target) }, err
}

func proxyArgs(spec PortSpec, target netip.AddrPort) []string {
	ip := ""
	if spec.HostIP.IsValid() {
		ip = spec.HostIP.String()
	}
	return []string{ProxyName, "-proto", string(spec.Proto), "-host-ip", ip, "-host-port", fmt.Sprint(spec.HostPort),
		"-container-ip", target.Addr().String(), "-container-port", fmt.Sprint(target.Port())}
}

func proxyFlags(args []string) (PortSpec, netip.AddrPort, error) {
	flags := flag.NewFlagSet(ProxyName, flag.ContinueOnError)
	proto := flags.String("proto", "tcp", "tcp or udp")
	hostIP := flags.String("host-ip", "", "address to listen on; empty for all")
	hostPort := flags.Uint("host-port", 0, "port to listen on")
	toIP := flags.String("container-ip", "", "address to copy to")
	toPort := flags.Uint("container-port", 0, "port to copy to")
	if err := flags.Parse(args); err != nil {
		return PortSpec{}, netip.AddrPort{}, err
	}
	spec := PortSpec{Proto: Protocol(*proto), HostPort: uint16(*hostPort), ContainerPort: uint16(*toPort)}
	addr, err := netip.ParseAddr(*toIP)
	if *hostIP != "" && err == nil {
		spec.HostIP, err = netip.ParseAddr(*hostIP)
	}
	if spec.Proto != TCP && spec.Proto != UDP || *hostPort > 65535 || *toPort > 65535 {
		err = errors.Join(err, ErrInvalid)
	}
	return spec, netip.AddrPortFrom(addr, spec.ContainerPort), wrap("parse proxy flags", strings.Join(args, " "), err)
}

// ListenTCPProxy opens the listening socket. Keep-alive is set on it once: Linux hands the option down
// to every accepted connection, where setting it costs three system calls each.
func ListenTCPProxy(network, address string) (*net.TCPListener, error) {
	config := net.ListenConfig{KeepAlive: -1, Control: setOption(func(fd int) error {
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60))
	})}
	l, err := config.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}
