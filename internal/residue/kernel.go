package residue

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// firewall says which rules there are, without reading them all: nf_tables
// counts a generation up with every change of its rules (NFT_MSG_GETGEN), and
// the legacy tables that are in use are listed in /proc.
func firewall() []string {
	all := contents("/proc/net/ip*_tables_names")
	gen, err := uint32(firstGeneration), error(nil)
	if !asleep("nf_tables") {
		gen, err = nftGeneration()
	}
	if err == nil {
		all = append(all, fmt.Sprintf("nftables generation %d", gen))
	}
	return all
}

// firstGeneration is where nf_tables begins to count (nf_tables_init_net).
const firstGeneration = 1

// asleep tells whether a module is installed and not loaded. Asking such a one
// would load it: looking at a machine must not change it.
func asleep(module string) bool {
	loaded, err := os.ReadFile("/proc/modules")
	if err != nil || strings.Contains("\n"+string(loaded), "\n"+module+" ") {
		return false // a kernel without modules, or it is there
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	installed, _ := os.ReadFile("/lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/modules.dep")
	return strings.Contains(string(installed), "/"+module+".ko")
}

func nftGeneration() (uint32, error) {
	const getGen = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN
	req := nl.NewNetlinkRequest(getGen, 0)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil || len(answers) == 0 {
		return 0, fmt.Errorf("NFT_MSG_GETGEN: %w", err)
	}
	attrs, err := nl.ParseRouteAttr(answers[0][nl.SizeofNfgenmsg:])
	if err != nil {
		return 0, err
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.NFTA_GEN_ID && len(a.Value) == 4 {
			return uint32(a.Value[0])<<24 | uint32(a.Value[1])<<16 | uint32(a.Value[2])<<8 | uint32(a.Value[3]), nil
		}
	}
	return 0, fmt.Errorf("NFT_MSG_GETGEN: no generation in the answer")
}

// sysctlTrees are the parts of /proc/sys that a lab could reach. What the
// kernel itself counts there is not a setting and is left out.
var sysctlTrees = []string{"kernel", "vm", "fs", "user", "net/core", "net/ipv4", "net/ipv6", "net/bridge", "net/netfilter"}

var counters = []string{
	"kernel/random/", "kernel/ns_last_pid", "kernel/pty/nr", "fs/dentry-state", "fs/file-nr",
	"fs/inode-nr", "fs/inode-state", "fs/aio-nr", "fs/quota/", "net/netfilter/nf_conntrack_count",
	"kernel/keys/", "net/ipv4/tcp_fastopen_key", "vm/stat_refresh", "vm/compact_memory",
	"net/ipv4/route/flush", "net/ipv6/route/flush", "fs/binfmt_misc/",
}

func sysctls() []string {
	var all []string
	text := make([]byte, 4<<10) // the kernel clears as much for every read
	for _, tree := range sysctlTrees {
		filepath.WalkDir("/proc/sys/"+tree, func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(path, "/proc/sys/")
			if err != nil || d.IsDir() || isCounter(name) {
				return nil
			}
			if n, err := readSysctl(path, text); err == nil {
				all = append(all, name+" = "+strings.TrimSpace(string(text[:n])))
			}
			return nil
		})
	}
	return all
}

// readSysctl reads one setting with three system calls, where os.ReadFile makes
// seven: there are a thousand of them. A setting comes with one read(2) or not at
// all (fs/proc/proc_sysctl.c).
func readSysctl(path string, text []byte) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.Read(fd, text)
}

func isCounter(name string) bool {
	for _, c := range counters {
		if strings.HasPrefix(name, c) {
			return true
		}
	}
	return false
}
