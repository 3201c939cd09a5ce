package aufs

import "strings"

// Perm is what stands after the = of a branch: rw, ro or rr, and attributes.
type Perm struct {
	// Base is "rw", "ro", or "rr" (read-only on a medium that never changes).
	Base string
	// Attrs are kept in the order in which the kernel prints them.
	Attrs []string
}

// permAttrs lists the attributes in the kernel's printing order, and the bases
// that each is for. An attribute that does not fit its base is dropped.
var permAttrs = []struct{ name, bases string }{
	{"coo_reg", "ro rr"}, // copy a regular file up when it is opened
	{"coo_all", "ro rr"}, // the same for folders
	{"fhsm", "rw"},
	{"unpin", "rw ro rr"},
	{"icex", "rw ro rr"}, // ignore errors of copying extended attributes
	{"icexsec", "rw ro rr"},
	{"icexsys", "rw ro rr"},
	{"icextr", "rw ro rr"},
	{"icexusr", "rw ro rr"},
	{"icexoth", "rw ro rr"},
	{"wh", "ro rr"}, // whiteouts in this read-only branch count
	{"nolwh", "rw"}, // whiteouts are files of their own, not hard links
	{"moo", "rw"},
}

// Writable tells whether the branch takes changes.
func (p Perm) Writable() bool { return p.Base == "rw" }

// Has tells whether the attribute is set.
func (p Perm) Has(attr string) bool {
	for _, a := range p.Attrs {
		if a == attr {
			return true
		}
	}
	return false
}

// Whiteouts tells whether whiteouts and opaque marks in the branch count. In a
// plain ro branch they are ignored, and hidden all the same.
func (p Perm) Whiteouts() bool { return p.Writable() || p.Has("wh") }

// String prints the permission as /sys/fs/aufs/si_*/brN does: "rw+icex+nolwh".
func (p Perm) String() string {
	return strings.Join(append([]string{p.Base}, p.Attrs...), "+")
}

// parsePerm reads "ro+wh". As in the kernel an unknown base means ro and an
// unknown attribute is dropped; warnings say so.
func parsePerm(s string) (p Perm, warnings []string) {
	words := strings.Split(s, "+")
	p.Base = words[0]
	if p.Base != "rw" && p.Base != "ro" && p.Base != "rr" {
		warnings = append(warnings, "ignored branch permission "+p.Base)
		p.Base = "ro"
	}
	asked := map[string]bool{}
	for _, w := range words[1:] {
		asked[w] = true
	}
	for _, a := range permAttrs {
		if asked[a.name] && strings.Contains(a.bases, p.Base) {
			p.Attrs = append(p.Attrs, a.name)
			delete(asked, a.name)
		}
	}
	for _, w := range words[1:] {
		if asked[w] {
			warnings = append(warnings, "ignored branch attribute "+w)
			delete(asked, w)
		}
	}
	return p, warnings
}
