package nsdemo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Mapping is how the ids of a process's user namespace look from the reader's.
type Mapping struct {
	UID, GID  []IDMap
	Setgroups string // "allow" or "deny"
}

// ReadMapping reads uid_map, gid_map and setgroups of procRoot/PID. The outer
// ids in them are those of the reader's user namespace (user_namespaces(7)).
func ReadMapping(procRoot string, pid int) (Mapping, error) {
	dir := filepath.Join(procRoot, strconv.Itoa(pid))
	uid, err := readIDMap(filepath.Join(dir, "uid_map"))
	if err != nil {
		return Mapping{}, err
	}
	gid, err := readIDMap(filepath.Join(dir, "gid_map"))
	if err != nil {
		return Mapping{}, err
	}
	setgroups, err := os.ReadFile(filepath.Join(dir, "setgroups"))
	if err != nil {
		return Mapping{}, err
	}
	return Mapping{UID: uid, GID: gid, Setgroups: strings.TrimSpace(string(setgroups))}, nil
}

func readIDMap(path string) ([]IDMap, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseIDMap(f)
}

// ParseIDMap reads lines of three numbers: inside, outside, count.
func ParseIDMap(r io.Reader) ([]IDMap, error) {
	var list []IDMap
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		n, err := numbers(lines.Text())
		if err != nil || len(n) != 3 {
			return nil, fmt.Errorf("id map line %q: want three numbers: inside, outside, count", lines.Text())
		}
		list = append(list, IDMap{Inside: n[0], Outside: n[1], Count: n[2]})
	}
	return list, lines.Err()
}

// Outer gives the outer id of an inner one; ok is false where it is unmapped.
func Outer(lines []IDMap, inside int) (outside int, ok bool) {
	for _, l := range lines {
		if inside >= l.Inside && inside-l.Inside < l.Count {
			return l.Outside + inside - l.Inside, true
		}
	}
	return 0, false
}

// OverflowIDs reads procRoot/sys/kernel/overflowuid and overflowgid: what is
// shown for an id that has no name in the reader's user namespace.
func OverflowIDs(procRoot string) (UserID, error) {
	uid, err := readNumber(filepath.Join(procRoot, "sys/kernel/overflowuid"))
	if err != nil {
		return UserID{}, err
	}
	gid, err := readNumber(filepath.Join(procRoot, "sys/kernel/overflowgid"))
	return UserID{UID: uid, GID: gid}, err
}

func readNumber(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
