package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

// The labs that ask over HTTP share what stands here: a web server in a box,
// which says only who it is, and how somebody gets on who asks it.

func init() { inside.Register("labs.web-server", serveWeb) }

// serveWeb runs in the box. It answers until the process ends.
func serveWeb(_ context.Context, packed json.RawMessage) (any, error) {
	var site struct{ Address, Text string }
	if err := json.Unmarshal(packed, &site); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", site.Address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, site.Text)
	})}
	server.SetKeepAlivesEnabled(false) // as the small server of the shell lines: one request, one connection
	go server.Serve(l)
	return nil, nil
}

func greeting(box string) string { return "hello from " + box }

// startWebServer has a process in the box listen on a TCP port.
func startWebServer(ctx context.Context, b *bench.Bench, box string, port int) error {
	pid, err := b.Pid(box)
	if err != nil {
		return err
	}
	h, err := bench.Enter(ctx, pid, nil)
	if err != nil {
		return err
	}
	site := map[string]string{"Address": fmt.Sprintf(":%d", port), "Text": greeting(box)}
	if err := h.Call(ctx, "labs.web-server", site, nil); err != nil {
		return errors.Join(err, h.Close())
	}
	return b.Keep(fmt.Sprintf("%s-%d", box, port), h)
}

// webServerByHand are the shell lines that do the same.
func webServerByHand(box string, port int) []string {
	return []string{
		fmt.Sprintf("mkdir -p www.%s; printf '%s' > www.%s/index.html", box, greeting(box), box),
		fmt.Sprintf("%s busybox httpd -f -p %d -h www.%s & echo $! > %s-%d.pid", enterNet(box), port, box, box, port),
		fmt.Sprintf("until grep -q ':%04X .* 0A ' /proc/$(cat %s.pid)/net/tcp /proc/$(cat %s.pid)/net/tcp6; do sleep 0.01; done", port, box, box),
	}
}

// How long to wait for a connection, which takes a millisecond here when it comes:
// somebody who ought to answer is given time, for the machine may be busy.
const (
	webPatience = 1500 * time.Millisecond // a lost packet is sent again after one second
	noPatience  = 350 * time.Millisecond
)

// serverPatience bounds the wait for a program that is known to be there: the
// kernel has connected us, but on a busy machine it may have to wait for a CPU.
const serverPatience = 20 * time.Second

// fetch asks a web server from a namespace, and says in a few words what came
// of it: the page, or why there is none.
func fetch(ns *netdemo.Namespace, address string, wait time.Duration) string {
	if ns == nil {
		return evidence.Absent
	}
	text, err := get(ns, address, wait)
	if err != nil {
		return noAnswer(err)
	}
	return text
}

func get(ns *netdemo.Namespace, address string, wait time.Duration) (string, error) {
	dial := func(ctx context.Context, network, to string) (c net.Conn, err error) {
		err = ns.Do(func() error {
			c, err = (&net.Dialer{Timeout: wait}).DialContext(ctx, network, to)
			return err
		})
		return c, err
	}
	client := http.Client{Timeout: serverPatience, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return oneLine(string(text)), err
}

// noAnswer puts the ways in which a connection fails into words. They differ
// for a person who looks for the fault: somebody said no, nobody knew the way,
// or nobody said anything.
func noAnswer(err error) string {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return "refused"
	case errors.Is(err, unix.ENETUNREACH):
		return "no route"
	case errors.Is(err, unix.EHOSTUNREACH):
		return "host unreachable"
	case errors.Is(err, os.ErrDeadlineExceeded) || os.IsTimeout(err):
		return "no answer"
	}
	return "failed: " + oneLine(err.Error())
}

// asked is a fact: what came of asking from there for that address.
func asked(n nets, from, address string) evidence.Fact {
	return askedFor(n, from, address, webPatience)
}

// askedInVain is the same where nobody is expected to answer.
func askedInVain(n nets, from, address string) evidence.Fact {
	return askedFor(n, from, address, noPatience)
}

// askedOf does not ask for somebody who does not exist yet.
func askedOf(n nets, from, to, address string) evidence.Fact {
	if n[to] == nil {
		n = nets{}
	}
	return asked(n, from, address)
}

func askedFor(n nets, from, address string, wait time.Duration) evidence.Fact {
	enter := ""
	if from != theHost {
		enter = enterNet(from) + " "
	}
	return evidence.F(from+" asks "+address, enter+"curl -s "+address, fetch(n[from], address, wait))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
