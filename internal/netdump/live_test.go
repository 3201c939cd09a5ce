package netdump

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// Links come and go while they are listed, as they do when the kernel clears
// away the namespace of a container that has just ended. More links than fit into
// one message are there, so the dump has a middle to be interrupted in.
func TestWholeWhileLinksComeAndGo(t *testing.T) {
	needs.Root(t)
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	for i := range 8 {
		if err := netlink.LinkAdd(bridge(fmt.Sprint("stays", i))); err != nil {
			t.Fatal(err)
		}
	}
	stop := comeAndGo(t, here)
	defer stop()
	cut := 0
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		if _, err := netlink.LinkList(); err != nil {
			cut++
		}
		if links, err := Whole(netlink.LinkList); err != nil || len(links) < 9 {
			t.Fatalf("Whole = %d links, %v; want lo and at least 8", len(links), err)
		}
	}
	t.Logf("%d plain dumps were interrupted", cut)
}

func bridge(name string) *netlink.Bridge {
	return &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
}

// comeAndGo makes and deletes a link, over and over, until it is stopped.
func comeAndGo(t *testing.T, ns netns.NsHandle) (stop func()) {
	t.Helper()
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			default:
				nl.LinkAdd(bridge("goes"))
				if l, err := nl.LinkByName("goes"); err == nil {
					nl.LinkDel(l)
				}
			}
		}
	}()
	return func() { close(over); <-done; nl.Close() }
}
