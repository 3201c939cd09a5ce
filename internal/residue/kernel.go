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
	if gen, err := nftGeneration(); err == nil {
		all = append(all, fmt.Sprintf("nftables generation %d", gen))
	}
	return all
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
	for _, tree := range sysctlTrees {
		filepath.WalkDir("/proc/sys/"+tree, func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(path, "/proc/sys/")
			if err != nil || d.IsDir() || isCounter(name) {
				return nil
			}
			if text, err := os.ReadFile(path); err == nil {
				all = append(all, name+" = "+strings.TrimSpace(string(text)))
			}
			return nil
		})
	}
	return all
}

func isCounter(name string) bool {
	for _, c := range counters {
		if strings.HasPrefix(name, c) {
			return true
		}
	}
	return false
}
