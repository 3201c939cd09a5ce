package aufs

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// serverName is argv[0] of the background server.
const serverName = "cutaway-aufs"

// order is what the server is told, as JSON on its standard input.
type order struct {
	Options  string
	Target   string
	ReadOnly bool
}

// outcome is what it answers on descriptor 3, once.
type outcome struct {
	Errno int
	Text  string
}

// Main is to be called first thing in main and in TestMain. In the background
// server that Mount starts it serves until the union is unmounted, and never
// returns; in any other process it costs one comparison.
func Main() {
	if filepath.Base(os.Args[0]) == serverName {
		serve(os.NewFile(3, "reply"))
		os.Exit(0)
	}
}

func serve(reply *os.File) {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		answerOnce(reply, fmt.Errorf("order to the aufs server: %w", err))
		return
	}
	u, server, err := start(o)
	answerOnce(reply, err)
	if err != nil {
		return
	}
	os.Chdir("/") // keep no folder busy
	unmountOnTerm(o.Target)
	server.Serve()
	u.Close()
}

// answerOnce tells the one who started us how it went, and lets him go.
func answerOnce(reply *os.File, err error) {
	out := outcome{}
	if err != nil {
		out = outcome{Errno: int(errnoNumber(err)), Text: err.Error()}
	}
	json.NewEncoder(reply).Encode(out)
	reply.Close()
}

func start(o order) (*FS, *fuse.Server, error) {
	unix.Umask(0)           // modes are the callers' business
	debug.SetGCPercent(400) // little memory is in use: spend some of it on speed
	u, err := New(o.Options)
	if err != nil {
		return nil, nil, err
	}
	server, err := u.mount(o.Target, o.ReadOnly)
	if err != nil {
		u.Close()
		return nil, nil, err
	}
	// A thread that waits for a request keeps a processor of the Go scheduler
	// for a while: have some to spare for the ones that work.
	runtime.GOMAXPROCS(max(4, 2*runtime.NumCPU()))
	return u, server, nil
}

// unmountOnTerm makes an ordinary kill end the union properly.
func unmountOnTerm(target string) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	go func() {
		<-c
		unix.Unmount(target, unix.MNT_DETACH)
	}()
}

// mount is mount(2) of type fuse.aufs, by hand: the descriptor of /dev/fuse in
// the options is what ties the mount to this process. No fusermount is needed,
// neither by root nor by the root of a user namespace.
func (fs *FS) mount(target string, readOnly bool) (*fuse.Server, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/fuse: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(target, &st); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mount point %s: %w", target, err)
	}
	data := strings.Join([]string{
		fmt.Sprintf("fd=%d", fd),
		fmt.Sprintf("rootmode=%o", st.Mode&unix.S_IFMT),
		fmt.Sprintf("user_id=%d", os.Geteuid()),
		fmt.Sprintf("group_id=%d", os.Getegid()),
		"default_permissions", // the kernel checks by what we show
		"allow_other",
	}, ",")
	flags := uintptr(0)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("none", target, "fuse.aufs", flags, data); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mount(none, %s, fuse.aufs, %s): %w", target, data, err)
	}
	fs.kernel.fd, _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	server, err := fuse.NewServer(fs, fmt.Sprintf("/dev/fd/%d", fd), fuseOptions())
	if err != nil {
		unix.Unmount(target, unix.MNT_DETACH)
		return nil, fmt.Errorf("FUSE INIT on %s: %w", target, err)
	}
	return server, nil
}

func fuseOptions() *fuse.MountOptions {
	return &fuse.MountOptions{
		MaxWrite:             1 << 20,
		MaxBackground:        64,
		EnableSymlinkCaching: true,
		EnableAcl:            true,
		DisableSplice:        true, // a dozen system calls around a pipe cost more than one copy
		Logger:               log.New(io.Discard, "", 0),
		ExtraCapabilities: fuse.CAP_ATOMIC_O_TRUNC | // O_TRUNC comes with OPEN: no copy of what is cut
			fuse.CAP_HANDLE_KILLPRIV_V2 | // spares a question about capabilities before each write
			fuse.CAP_READDIRPLUS_AUTO | // attributes only for those who ask for them
			fuse.CAP_DONT_MASK, // the umask counts unless the folder has a default ACL
	}
}
