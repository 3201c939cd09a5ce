package rootfs

import (
	"fmt"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Plan is what the option list of one mount means to the kernel.
//
// mount(2) takes all of it in one word of flags and a string. The new calls
// keep apart what belongs to the mount (this place), to the super block (the
// file system, wherever it is mounted) and to propagation (the relation to
// other mounts).
type Plan struct {
	Bind      bool   // a clone of an existing tree instead of a new file system
	Recursive bool   // with everything mounted below
	Set       uint64 // MOUNT_ATTR_* to set
	Clear     uint64 // MOUNT_ATTR_* to clear
	SetRec    uint64 // the same for the whole tree: rro, rnoexec ...
	ClearRec  uint64
	Super     []string // super block flags by name: ro, sync, dirsync ...
	Data      []string // the file system's own options: size=64k, mode=755 ...

	Propagation []Propagation // applied in order
	CopyUp      bool          // tmpcopyup: fill a tmpfs with what it covers
	IDMap       bool          // idmap or ridmap
	IDMapRec    bool
}

// Propagation is one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE.
type Propagation struct {
	Type      uint64
	Recursive bool
}

// attr is one option that sets or clears mount attributes.
type attr struct {
	set, clear uint64
	super      string // the super block's name for it, where it has one
}

// The access time options are one field of the attributes, not bits: a new
// value always clears the old one.
const atime = unix.MOUNT_ATTR__ATIME

var attrs = sync.OnceValue(func() map[string]attr {
	return map[string]attr{
		"ro":            {set: unix.MOUNT_ATTR_RDONLY, super: "ro"},
		"rw":            {clear: unix.MOUNT_ATTR_RDONLY, super: "rw"},
		"nosuid":        {set: unix.MOUNT_ATTR_NOSUID},
		"suid":          {clear: unix.MOUNT_ATTR_NOSUID},
		"nodev":         {set: unix.MOUNT_ATTR_NODEV},
		"dev":           {clear: unix.MOUNT_ATTR_NODEV},
		"noexec":        {set: unix.MOUNT_ATTR_NOEXEC},
		"exec":          {clear: unix.MOUNT_ATTR_NOEXEC},
		"nosymfollow":   {set: unix.MOUNT_ATTR_NOSYMFOLLOW},
		"symfollow":     {clear: unix.MOUNT_ATTR_NOSYMFOLLOW},
		"nodiratime":    {set: unix.MOUNT_ATTR_NODIRATIME},
		"diratime":      {clear: unix.MOUNT_ATTR_NODIRATIME},
		"noatime":       {set: unix.MOUNT_ATTR_NOATIME, clear: atime},
		"atime":         {clear: atime}, // relatime is the value 0 of the field
		"relatime":      {set: unix.MOUNT_ATTR_RELATIME, clear: atime},
		"norelatime":    {clear: atime},
		"strictatime":   {set: unix.MOUNT_ATTR_STRICTATIME, clear: atime},
		"nostrictatime": {clear: atime},
	}
})

// superOnly are flags of the file system alone, under fsconfig's names.
var superOnly = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"sync": "sync", "async": "async", "dirsync": "dirsync", "mand": "mand", "nomand": "nomand",
		"lazytime": "lazytime", "nolazytime": "nolazytime",
		// Words of mount(8) that set nothing a new file system does not have already.
		"iversion": "", "noiversion": "", "silent": "", "loud": "", "defaults": "", "acl": "", "noacl": "",
	}
})

var propagations = sync.OnceValue(func() map[string]uint64 {
	return map[string]uint64{
		"shared": unix.MS_SHARED, "slave": unix.MS_SLAVE, "private": unix.MS_PRIVATE, "unbindable": unix.MS_UNBINDABLE,
	}
})

// PlanOptions sorts the options of an OCI mount. A later option wins over an
// earlier one, as in fstab. What is not known is the file system's business.
func PlanOptions(m specs.Mount) (Plan, error) {
	var p Plan
	p.Bind = m.Type == "bind"
	for _, o := range m.Options {
		p.add(o)
	}
	if p.Bind && len(p.Data) > 0 {
		return p, fmt.Errorf("mount %s: a bind mount takes no file system options, but has %s", m.Destination, strings.Join(p.Data, ","))
	}
	return p, nil
}

func (p *Plan) add(o string) {
	switch o {
	case "bind":
		p.Bind = true
		return
	case "rbind":
		p.Bind, p.Recursive = true, true
		return
	case "tmpcopyup":
		p.CopyUp = true
		return
	case "idmap":
		p.IDMap = true
		return
	case "ridmap":
		p.IDMap, p.IDMapRec = true, true
		return
	}
	if a, ok := attrs()[o]; ok {
		p.Set, p.Clear = p.Set&^(a.set|a.clear)|a.set, p.Clear&^a.set|a.clear
		p.super(a.super)
		return
	}
	if a, ok := attrs()[strings.TrimPrefix(o, "r")]; ok && o[0] == 'r' {
		p.SetRec, p.ClearRec = p.SetRec&^(a.set|a.clear)|a.set, p.ClearRec&^a.set|a.clear
		return
	}
	if name, ok := superOnly()[o]; ok {
		p.super(name)
		return
	}
	if t, ok := propagations()[o]; ok {
		p.Propagation = append(p.Propagation, Propagation{t, false})
		return
	}
	if t, ok := propagations()[strings.TrimPrefix(o, "r")]; ok {
		p.Propagation = append(p.Propagation, Propagation{t, true})
		return
	}
	p.Data = append(p.Data, o)
}

// opposite pairs super block flags of which the later one wins.
var opposite = sync.OnceValue(func() map[string]string {
	return map[string]string{"ro": "rw", "rw": "ro", "sync": "async", "async": "sync"}
})

func (p *Plan) super(name string) {
	if name == "" {
		return
	}
	kept := p.Super[:0]
	for _, s := range p.Super {
		if s != opposite()[name] && s != name {
			kept = append(kept, s)
		}
	}
	p.Super = append(kept, name)
}

// ReadOnly says whether the mount itself is to be read-only.
func (p Plan) ReadOnly() bool { return p.Set&unix.MOUNT_ATTR_RDONLY != 0 }

// ParsePropagation reads linux.rootfsPropagation; "" is rslave, which keeps the
// container's mounts out of the host and still lets the host's come in.
func ParsePropagation(word string) (Propagation, error) {
	if word == "" {
		return Propagation{unix.MS_SLAVE, true}, nil
	}
	if t, ok := propagations()[word]; ok {
		return Propagation{t, false}, nil
	}
	if t, ok := propagations()[strings.TrimPrefix(word, "r")]; ok {
		return Propagation{t, true}, nil
	}
	return Propagation{}, fmt.Errorf("rootfsPropagation=%s is not one of shared, slave, private, unbindable or their r forms", word)
}
