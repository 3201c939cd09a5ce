package netdemo

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// procRoot is where the kernel shows processes and the per-namespace sysctls.
const procRoot = "/proc"

// Namespace is an open network namespace: a file descriptor that keeps it alive, and a netlink
// socket that was opened inside it and therefore acts there, whichever thread uses it.
type Namespace struct {
	file *os.File
	path string
	nl   *netlink.Handle
}

// OpenNamespace opens the namespace file at path (/proc/PID/ns/net, or a file that one is bind
// mounted on) with open(2). See network_namespaces(7). The caller closes it.
func OpenNamespace(path string) (*Namespace, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &Error{Op: "open namespace", Subject: path, Err: err}
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		f.Close()
		return nil, &Error{Op: "open namespace", Subject: path, Err: ErrNotNamespace}
	}
	return newNamespace(f, path)
}

// OpenPid opens the network namespace that process pid lives in.
func OpenPid(pid int) (*Namespace, error) {
	return OpenNamespace(fmt.Sprintf("%s/%d/ns/net", procRoot, pid))
}

// NewNamespace makes an empty network namespace with unshare(2) CLONE_NEWNET in a thread that is
// then thrown away. It has one link, lo, which is down, and lives until the last descriptor, process
// or mount that refers to it is gone. Needs CAP_SYS_ADMIN.
func NewNamespace() (*Namespace, error) {
	type made struct {
		f   *os.File
		err error
	}
	result := make(chan made)
	go func() {
		// Never unlocked: when this goroutine returns, the runtime ends the thread,
		// so no other goroutine can ever be run in the new namespace by mistake.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- made{err: &Error{Op: "unshare", Subject: "CLONE_NEWNET", Err: err}}
			return
		}
		f, err := os.Open(procRoot + "/thread-self/ns/net")
		result <- made{f, err}
	}()
	m := <-result
	if m.err != nil {
		return nil, m.err
	}
	return newNamespace(m.f, "")
}

func newNamespace(f *os.File, path string) (*Namespace, error) {
	nl, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	if err != nil {
		f.Close()
		return nil, &Error{Op: "open netlink socket", Subject: path, Err: err}
	}
	if path == "" {
		path = fmt.Sprintf("%s/%d/fd/%d", procRoot, os.Getpid(), f.Fd())
	}
	return &Namespace{file: f, path: path, nl: nl}, nil
}

// Path is a file name under which another process can open the namespace, as long as this one is
// open (or, for one opened by path, as long as that path exists).
func (n *Namespace) Path() string { return n.path }

// Fd is the open descriptor: what setns(2) and IFLA_NET_NS_FD take.
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Inode is the number in "net:[4026531840]": two handles with the same number are one namespace.
func (n *Namespace) Inode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(n.Fd(), &st); err != nil {
		return 0, &Error{Op: "stat namespace", Subject: n.path, Err: err}
	}
	return st.Ino, nil
}

// Close closes the descriptor and the netlink sockets. The namespace itself goes when nothing
// else refers to it, and takes its links with it.
func (n *Namespace) Close() error {
	n.nl.Close()
	return n.file.Close()
}

// Do runs fn in a thread that has entered the namespace with setns(2). Sockets that fn opens and
// processes that it starts belong to the namespace; goroutines that it starts do not.
func (n *Namespace) Do(fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(procRoot + "/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		defer home.Close()
		if err := unix.Setns(n.Fd(), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			result <- &Error{Op: "setns", Subject: n.path, Err: err}
			return
		}
		err = fn()
		// A thread that cannot go home must not be used again: it stays locked and dies.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}
