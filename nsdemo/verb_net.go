package nsdemo

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Link is a network device.
type Link struct {
	Index int
	Name  string
	MTU   int
	Up    bool
	MAC   string   // empty for lo
	Addrs []string // address/prefix
}

type socketRequest struct{ Address, Greeting string }

var (
	askLinks  = verb("ns.links", func(context.Context, none) ([]Link, error) { return Links() })
	askLoUp   = verb("ns.lo-up", nothing(loopbackUp))
	askListen = verb("ns.listen", func(_ context.Context, r socketRequest) (string, error) { return listen(r) })
	askDial   = verb("ns.dial", dial)
)

// Links lists the network devices inside, by rtnetlink(7) RTM_GETLINK.
func (p *Process) Links(ctx context.Context) ([]Link, error) {
	return askLinks(ctx, p, none{})
}

// Links lists the network devices of the caller's own net namespace.
func Links() ([]Link, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, d := range devices {
		l := Link{Index: d.Index, Name: d.Name, MTU: d.MTU, Up: d.Flags&net.FlagUp != 0, MAC: d.HardwareAddr.String()}
		addrs, err := d.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			l.Addrs = append(l.Addrs, a.String())
		}
		links = append(links, l)
	}
	return links, nil
}

// LoopbackUp sets lo up inside, by ioctl SIOCSIFFLAGS (netdevice(7)). The kernel
// then gives it 127.0.0.1.
func (p *Process) LoopbackUp(ctx context.Context) error {
	_, err := askLoUp(ctx, p, none{})
	return err
}

func loopbackUp(none) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket(AF_INET, SOCK_DGRAM): %w", err)
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("ioctl(lo, SIOCSIFFLAGS, IFF_UP): %w", err)
	}
	return nil
}

// Listen binds a TCP port inside, by bind(2) and listen(2), and sends a greeting
// to whoever connects, until the process ends. It returns the address in full,
// for port 0 with the port that was free.
func (p *Process) Listen(ctx context.Context, address, greeting string) (string, error) {
	return askListen(ctx, p, socketRequest{address, greeting})
}

func listen(r socketRequest) (string, error) {
	l, err := net.Listen("tcp", r.Address)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, r.Greeting)
			c.Close()
		}
	}()
	return l.Addr().String(), nil
}

// Dial connects to a TCP address from inside, by connect(2), and returns what
// the other end says until it closes.
func (p *Process) Dial(ctx context.Context, address string) (string, error) {
	return askDial(ctx, p, socketRequest{Address: address})
}

// dialTime bounds what should take no time at all on a loopback device.
const dialTime = 5 * time.Second

func dial(ctx context.Context, r socketRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(dialTime))
	said, err := io.ReadAll(c)
	return string(said), err
}
