package bundle

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// LookupUser finds out who "user[:group]" is in the container whose root is
// mounted at rootfs. Numbers are taken as they are. The image's files are opened
// below its root, so that a link in it leads nowhere else.
func LookupUser(rootfs, text string, more []string) (specs.User, error) {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return specs.User{}, err
	}
	defer root.Close()
	name, group, _ := strings.Cut(text, ":")
	u, found := specs.User{}, false
	users := lines(root, "etc/passwd")
	for _, f := range users {
		if len(f) >= 4 && (f[0] == name || f[2] == name || (name == "" && f[2] == "0")) {
			u.UID, u.GID, found = number(f[2]), number(f[3]), true
			name = f[0]
			break
		}
	}
	if !found && name != "" {
		n, err := strconv.ParseUint(name, 10, 31)
		if err != nil {
			return u, fmt.Errorf("unable to find user %s: no matching entries in passwd file", name)
		}
		u.UID = uint32(n)
	}
	groups := lines(root, "etc/group")
	if group != "" {
		if u.GID, err = lookupGroup(groups, group); err != nil {
			return u, err
		}
	} else if found {
		u.AdditionalGids = memberOf(groups, name)
	}
	for _, g := range more {
		gid, err := lookupGroup(groups, g)
		if err != nil {
			return u, err
		}
		u.AdditionalGids = append(u.AdditionalGids, gid)
	}
	// The user's own group is one of them too. Without it a program could step out of
	// that group, and past files that shut just this group out (CVE-2022-36109).
	u.AdditionalGids = append(u.AdditionalGids, u.GID)
	slices.Sort(u.AdditionalGids)
	u.AdditionalGids = slices.Compact(u.AdditionalGids)
	return u, nil
}

func lookupGroup(groups [][]string, name string) (uint32, error) {
	for _, f := range groups {
		if len(f) >= 3 && (f[0] == name || f[2] == name) {
			return number(f[2]), nil
		}
	}
	n, err := strconv.ParseUint(name, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("unable to find group %s: no matching entries in group file", name)
	}
	return uint32(n), nil
}

func memberOf(groups [][]string, user string) []uint32 {
	var gids []uint32
	for _, f := range groups {
		if len(f) >= 4 && slices.Contains(strings.Split(f[3], ","), user) {
			gids = append(gids, number(f[2]))
		}
	}
	return gids
}

// lines reads a file of fields; one that is not there is empty.
func lines(root *os.Root, path string) [][]string {
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe in its place must not hold us
	if err != nil {
		return nil
	}
	defer f.Close()
	var all [][]string
	s := bufio.NewScanner(io.LimitReader(f, 4<<20)) // it is the image's, and may be anything
	for s.Scan() {
		all = append(all, strings.Split(strings.TrimSpace(s.Text()), ":"))
	}
	return all
}

func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}
