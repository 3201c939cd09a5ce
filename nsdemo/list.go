package nsdemo

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ProcessInfo is a process as a proc filesystem lists it.
type ProcessInfo struct {
	Pid     int // in the pid namespace that the proc filesystem was mounted in
	PPid    int
	Name    string
	Command string // arguments, with blanks between; empty for kernel threads
	NSpid   []int
}

// Processes lists procRoot/PID for every process that is there, by pid. One that
// ends meanwhile is left out.
func Processes(procRoot string) ([]ProcessInfo, error) {
	pids, err := pidsOf(procRoot)
	if err != nil {
		return nil, err
	}
	var list []ProcessInfo
	for _, pid := range pids {
		st, err := ReadStatus(procRoot, pid)
		if err != nil {
			continue
		}
		list = append(list, ProcessInfo{
			Pid: pid, PPid: st.PPid, Name: st.Name, NSpid: st.NSpid, Command: commandOf(procRoot, pid),
		})
	}
	return list, nil
}

func pidsOf(procRoot string) ([]int, error) {
	entries, err := os.ReadDir(procRoot)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

func commandOf(procRoot string, pid int) string {
	text, _ := os.ReadFile(filepath.Join(procRoot, strconv.Itoa(pid), "cmdline"))
	return strings.TrimSpace(string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
}

// Listed is a namespace that some process is in, as lsns(8) lists it.
type Listed struct {
	Kind    Kind
	Inode   uint64
	Pids    []int  // who is in it, ascending
	Command string // of the lowest pid
	UID     int    // effective, of the lowest pid
}

// List goes through procRoot/PID/ns of all processes, as lsns(8) does. Those whose
// links the caller may not read are left out; so are namespaces without a process.
func List(procRoot string) ([]Listed, error) {
	pids, err := pidsOf(procRoot)
	if err != nil {
		return nil, err
	}
	found := map[Kind]map[uint64]*Listed{}
	for _, pid := range pids {
		ids, err := IDs(procRoot, pid)
		if err != nil {
			continue
		}
		for k, inode := range ids {
			if found[k] == nil {
				found[k] = map[uint64]*Listed{}
			}
			if found[k][inode] == nil {
				found[k][inode] = &Listed{Kind: k, Inode: inode}
			}
			found[k][inode].Pids = append(found[k][inode].Pids, pid)
		}
	}
	return describe(procRoot, found), nil
}

func describe(procRoot string, found map[Kind]map[uint64]*Listed) []Listed {
	var list []Listed
	for _, k := range Kinds() {
		for _, inode := range slices.SortedFunc(maps.Keys(found[k]), cmp.Compare[uint64]) {
			ns := found[k][inode]
			st, _ := ReadStatus(procRoot, ns.Pids[0])
			ns.UID, ns.Command = st.UID[1], commandOf(procRoot, ns.Pids[0])
			if ns.Command == "" {
				ns.Command = "[" + st.Name + "]"
			}
			list = append(list, *ns)
		}
	}
	return list
}

// Members lists the pids in one namespace, ascending.
func Members(procRoot string, k Kind, inode uint64) ([]int, error) {
	pids, err := pidsOf(procRoot)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(pids, func(pid int) bool {
		id, err := ID(procRoot, pid, k)
		return err != nil || id != inode
	}), nil
}
