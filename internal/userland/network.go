package userland

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"cutaway/internal/netdump"
)

// runIP shows addresses, links and routes: `ip addr`, `ip link`, `ip route`, each
// with or without "show" and a device.
func runIP(c *call) error {
	var words []string
	for _, w := range c.args {
		if !strings.HasPrefix(w, "-") && w != "show" && w != "dev" && w != "list" {
			words = append(words, w)
		}
	}
	if len(words) == 0 || len(words) > 2 {
		return errors.New("want addr, link or route, and perhaps a device; nothing is changed by this program")
	}
	device := ""
	if len(words) == 2 {
		device = words[1]
	}
	switch {
	case strings.HasPrefix("address", words[0]):
		return c.showLinks(device, true)
	case strings.HasPrefix("link", words[0]):
		return c.showLinks(device, false)
	case strings.HasPrefix("route", words[0]):
		return c.showRoutes(device)
	}
	return fmt.Errorf("%q: want addr, link or route", words[0])
}

func (c *call) showLinks(device string, addresses bool) error {
	links, err := netdump.Whole(netlink.LinkList)
	if err != nil {
		return err
	}
	found := device == ""
	for _, l := range links {
		a := l.Attrs()
		if device != "" && a.Name != device {
			continue
		}
		found = true
		mac := a.HardwareAddr.String()
		if mac == "" {
			mac = "00:00:00:00:00:00"
		}
		fmt.Fprintf(c.out, "%d: %s: <%s> mtu %d state %s\n    link/%s %s\n", a.Index, a.Name,
			strings.ToUpper(strings.ReplaceAll(a.Flags.String(), "|", ",")), a.MTU, strings.ToUpper(a.OperState.String()), a.EncapType, mac)
		if !addresses {
			continue
		}
		list, err := netdump.Whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
		if err != nil {
			return err
		}
		for _, addr := range list {
			family := "inet"
			if addr.IP.To4() == nil {
				family = "inet6"
			}
			fmt.Fprintf(c.out, "    %s %s scope %s\n", family, addr.IPNet, netlink.Scope(addr.Scope))
		}
	}
	if !found {
		return fmt.Errorf("device %q does not exist", device)
	}
	return nil
}

func (c *call) showRoutes(device string) error {
	routes, err := netdump.Whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return err
	}
	for _, r := range routes {
		name := ""
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			name = l.Attrs().Name
		}
		if device != "" && name != device {
			continue
		}
		to := "default"
		if r.Dst != nil && r.Dst.String() != "0.0.0.0/0" {
			to = r.Dst.String()
		}
		if r.Gw != nil {
			to += " via " + r.Gw.String()
		}
		to += " dev " + name
		if r.Src != nil {
			to += " scope " + r.Scope.String() + " src " + r.Src.String()
		}
		fmt.Fprintln(c.out, to)
	}
	return nil
}

// runWget fetches one address over HTTP.
func runWget(c *call) error {
	f := c.flags()
	output := f.StringP("output-document", "O", "", "file to write; - is standard output")
	quiet := f.BoolP("quiet", "q", false, "say nothing but errors")
	limit := f.IntP("timeout", "T", 30, "seconds until an answer has to begin")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	address := c.args[0]
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	client := http.Client{Transport: &http.Transport{ResponseHeaderTimeout: time.Duration(*limit) * time.Second,
		DialContext: (&net.Dialer{Timeout: time.Duration(*limit) * time.Second}).DialContext}}
	answer, err := client.Get(address)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("server returned error: HTTP %s", answer.Status)
	}
	if *output == "-" {
		_, err := io.Copy(c.out, answer.Body)
		return err
	}
	if *output == "" {
		if *output = path.Base(answer.Request.URL.Path); *output == "/" || *output == "." {
			*output = "index.html"
		}
	}
	file, err := os.Create(*output)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, answer.Body)
	if err = errors.Join(err, file.Close()); err == nil && !*quiet {
		fmt.Fprintf(c.err, "'%s' saved, %d bytes\n", *output, n)
	}
	return err
}

// runNc joins standard input and output to a TCP connection.
func runNc(c *call) error {
	f := c.flags()
	listen := f.BoolP("listen", "l", false, "wait for one connection")
	port := f.StringP("port", "p", "", "port to listen on")
	limit := f.IntP("timeout", "w", 0, "seconds until a connection has to be made")
	probe := f.BoolP("zero", "z", false, "only look whether somebody listens")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	var conn net.Conn
	var err error
	switch {
	case *listen:
		if *port == "" && len(c.args) > 0 {
			*port = c.args[len(c.args)-1]
		}
		conn, err = acceptOne(*port)
	case len(c.args) == 2:
		conn, err = net.DialTimeout("tcp", net.JoinHostPort(c.args[0], c.args[1]), time.Duration(*limit)*time.Second)
	default:
		return errors.New("want HOST PORT, or -l -p PORT")
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if *probe {
		return nil
	}
	go func() {
		io.Copy(conn, c.in)
		conn.(*net.TCPConn).CloseWrite() // the other end sees the end of file
	}()
	_, err = io.Copy(c.out, conn)
	return err
}

func acceptOne(port string) (net.Conn, error) {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.Accept()
}
