package probe

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket options of linux/netfilter_ipv4/ip_tables.h, the same numbers for v6.
const (
	getInfo           = 64
	getRevisionMatch  = 66
	getRevisionTarget = 67
)

// xtSockopt is getsockopt on a raw socket, the way iptables-legacy talks to
// the kernel. No iptables binary is needed to ask.
func xtSockopt(version string, option int, buf []byte) error {
	family, level := unix.AF_INET, unix.SOL_IP
	if version == "6" {
		family, level = unix.AF_INET6, unix.SOL_IPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	size := uint32(len(buf))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
	return errno(e)
}

// legacyTable asks for one table: the argument is "4 nat". /proc/net/
// ip_tables_names would list only tables that were used already.
func legacyTable(_ *stage, arg string) Finding {
	version, table, _ := strings.Cut(arg, " ")
	buf := make([]byte, 84) // struct ipt_getinfo: name 32, then counts
	copy(buf, table)
	err := xtSockopt(version, getInfo, buf)
	return asked(fmt.Sprintf("getsockopt(IPv%s raw, IPT_SO_GET_INFO, %s)", version, table), err,
		verdict{absent: []unix.Errno{unix.ENOENT, unix.ENOPROTOOPT, unix.EAFNOSUPPORT}})
}

// xtExtension asks for a match or target: "match conntrack", "target REDIRECT".
// Where legacy iptables is not built, nftables may carry the same extensions.
func xtExtension(_ *stage, arg string) Finding {
	kind, name, _ := strings.Cut(arg, " ")
	option := getRevisionMatch
	if kind == "target" {
		option = getRevisionTarget
	}
	buf := make([]byte, 30) // struct xt_get_revision: name 29, revision 1
	copy(buf, name)
	err := xtSockopt("4", option, buf)
	// EPROTONOSUPPORT: the extension is there, in another revision.
	v := verdict{present: []unix.Errno{unix.EPROTONOSUPPORT}, absent: []unix.Errno{unix.ENOENT}}
	f := asked(fmt.Sprintf("getsockopt(raw, IPT_SO_GET_REVISION_%s, %s)", strings.ToUpper(kind), name), err, v)
	if err == unix.ENOPROTOOPT {
		return nftCompat(kind, name)
	}
	return f
}

var versionNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`v(\d+\.\d+\.\d+)`) })

// iptablesCommand tries a MASQUERADE rule with the program that this machine
// calls iptables, in the child's own net namespace.
func iptablesCommand(_ *stage, name string) Finding {
	path, err := exec.LookPath(name)
	if err != nil {
		return Finding{State: No, Reason: "not installed, or not in PATH"}.saw("file", name, nil, "not found")
	}
	version, _ := exec.Command(path, "-V").Output()
	f := read(Yes, path+" -V", strings.TrimSpace(string(version)))
	rule := exec.Command(path, "-t", "nat", "-A", "POSTROUTING", "-s", "192.0.2.0/24", "-j", "MASQUERADE")
	rule.Env = append(os.Environ(), "XTABLES_LOCKFILE=/dev/null")
	out, err := rule.CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	f.Evidence = append(f.Evidence, Evidence{Method: "live", Call: strings.Join(rule.Args, " "), Detail: first})
	switch m := versionNumber().FindStringSubmatch(string(version)); {
	case err != nil && strings.Contains(first, "ermission denied"):
		f.State, f.Reason = Denied, first
	case err != nil:
		f.State, f.Reason = No, first
	case m != nil && brokenIptables()[m[1]] && strings.Contains(string(version), "nf_tables"):
		f.State, f.Reason = Off, "this version is known to write broken nftables rules"
	}
	return f
}

// brokenIptables are the versions whose nft variant loses rules.
var brokenIptables = sync.OnceValue(func() map[string]bool {
	return map[string]bool{"1.8.0": true, "1.8.1": true, "1.8.2": true, "1.8.3": true}
})
