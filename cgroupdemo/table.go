package cgroupdemo

import (
	"path/filepath"
)

// Row is one line of the table of controllers.
type Row struct {
	Controller Controller
	Version    Version // 0: on no mounted hierarchy
	Kernel     string  // the kernel's name of it in that version; "" for what v2 does by itself
	Hierarchy  int     // number in /proc/cgroups; 0 for version 2
	MountPoint string
	Own        string // the caller's own group there
	Groups     Reading[uint64]
	Delegated  error  // nil: groups can be made below Own; else a *DelegationError
	Note       string // where version 2 put the work
}

// Table tells for each controller who serves it here and where. Controllers
// that are nowhere have a row too, with Version 0.
func (hs *Hierarchies) Table() []Row {
	var rows []Row
	for _, n := range names {
		row := Row{Controller: n.controller, Note: n.v2Note}
		if h, ok := hs.Find(n.controller); ok {
			row.Version, row.Hierarchy, row.MountPoint = h.Version, h.ID, h.MountPoint
			row.Kernel = n.controller.NameIn(h.Version)
			row.Groups = hs.groups(h, row.Kernel)
			if row.Own, row.Delegated = hs.ownDir(h); row.Delegated == nil {
				row.Delegated = Delegation(h.Version, row.Own)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// groups counts: num_cgroups of /proc/cgroups for a v1 controller; for version
// 2 nr_descendants of the top's cgroup.stat, and the top itself.
func (hs *Hierarchies) groups(h Hierarchy, name string) Reading[uint64] {
	if h.Version == V2 {
		return convert(pick(ReadTable(h.MountPoint, "cgroup.stat"), "nr_descendants"),
			func(n uint64) (uint64, error) { return n + 1, nil })
	}
	from := filepath.Join(hs.Proc, "cgroups")
	for _, s := range hs.Known {
		if s.Name == name {
			return Reading[uint64]{Value: uint64(s.Groups), Path: from}
		}
	}
	return Reading[uint64]{Path: from, Err: ErrNoController}
}
