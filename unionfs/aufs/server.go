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
	Options string
	// Target is a directory on which the server builds its own small root.
	Target string
}

// outcome is what it answers on descriptor 3: once when the branches are open,
// once more when it serves.
type outcome struct {
	Errno int
	Text  string
}

// Descriptors that the server inherits.
const (
	replyFD = 3
	fuseFD  = 4 // /dev/fuse, mounted by the one who started us
)

// Main is to be called first thing in main and in TestMain. In the background
// server that Mount starts it serves until the union is unmounted, and never
// returns; in any other process it costs one comparison.
func Main() {
	if filepath.Base(os.Args[0]) == serverName {
		if err := serve(os.NewFile(replyFD, "reply"), json.NewDecoder(os.Stdin)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// serve opens the branches, lets go of everything else in the file tree, waits
// until the union is mounted, and serves it.
func serve(reply *os.File, orders *json.Decoder) error {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP) // the end comes by umount
	unix.Umask(0)                                         // modes are the callers' business
	debug.SetGCPercent(400)                               // little memory is in use: spend some of it on speed
	answers := json.NewEncoder(reply)
	var o order
	if err := orders.Decode(&o); err != nil {
		return tell(answers, fmt.Errorf("order to the aufs server: %w", err))
	}
	u, err := New(o.Options)
	if err == nil {
		err = leaveTree(o.Target)
	}
	if tell(answers, err); err != nil {
		return err
	}
	defer u.Close()
	if err := orders.Decode(&o); err != nil {
		return err // the mount failed, or the one who mounts is gone
	}
	l := newLoop(u, fuseFD)
	err = l.greet()
	if tell(answers, err); err != nil {
		return err
	}
	reply.Close()
	// A thread that waits for a request, or for a disk, keeps a processor of the
	// Go scheduler until the watchman takes it: have some to spare for the ones
	// that work.
	runtime.GOMAXPROCS(max(16, 2*runtime.NumCPU()))
	calmWatchman()
	l.run()
	return nil
}

// tell tells the one who started us how one stage went.
func tell(answers *json.Encoder, err error) error {
	out := outcome{}
	if err != nil {
		out = outcome{Errno: int(errnoNumber(err)), Text: err.Error()}
	}
	answers.Encode(out)
	return err
}

// leaveTree makes the server's mount namespace, a copy of its parent's, as good
// as empty: a root on tmpfs with nothing but /proc. The branches are open
// already. Otherwise the server would keep every file system of that namespace
// mounted, its own union among them: it would outlive a killed lab for ever.
func leaveTree(scratch string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the server's mounts private: %w", err)
	}
	if err := unix.Mount("cutaway-aufs", scratch, "tmpfs", 0, "mode=0755,size=64k"); err != nil {
		return fmt.Errorf("root of the server on %s: %w", scratch, err)
	}
	for _, dir := range []string{"/proc", "/old"} {
		if err := unix.Mkdir(scratch+dir, 0o755); err != nil {
			return fmt.Errorf("root of the server: %w", err)
		}
	}
	if err := unix.Mount("/proc", scratch+"/proc", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("/proc for the server: %w", err)
	}
	if err := unix.PivotRoot(scratch, scratch+"/old"); err != nil {
		return fmt.Errorf("pivot_root(%s): %w", scratch, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.Unmount("/old", unix.MNT_DETACH)
}

// mountFuse is mount(2) of type fuse.aufs, by hand: the descriptor of /dev/fuse
// in the options is what ties the mount to the server that reads from it. No
// fusermount is needed, neither by root nor by the root of a user namespace.
func mountFuse(fd int, target string, readOnly bool) error {
	var st unix.Stat_t
	if err := unix.Stat(target, &st); err != nil {
		return fmt.Errorf("mount point %s: %w", target, err)
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
		return fmt.Errorf("mount(none, %s, fuse.aufs, %s): %w", target, data, err)
	}
	return nil
}

func fuseOptions() *fuse.MountOptions {
	return &fuse.MountOptions{
		MaxWrite:             1 << 20,
		MaxBackground:        64,
		EnableSymlinkCaching: true,
		EnableAcl:            true,
		Logger:               log.New(io.Discard, "", 0),
		ExtraCapabilities: fuse.CAP_ATOMIC_O_TRUNC | // O_TRUNC comes with OPEN: no copy of what is cut
			fuse.CAP_HANDLE_KILLPRIV_V2 | // spares a question about capabilities before each write
			fuse.CAP_READDIRPLUS_AUTO | // attributes only for those who ask for them
			fuse.CAP_DONT_MASK, // the umask counts unless the folder has a default ACL
	}
}
