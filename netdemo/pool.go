package netdemo

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pool hands out the addresses of one subnet (what Docker calls IPAM). A lease is a link named after
// the address; two processes with the same folder never get the same address.
type Pool struct {
	Subnet netip.Prefix
	Range  netip.Prefix // the part that is handed out without being asked for; the subnet by default
	leases claims
}

// Lease is an address with its holder.
type Lease struct {
	Addr   netip.Addr
	Holder string
}

// OpenPool opens the pool of a subnet below the folder root, and makes it when it is new.
func OpenPool(root string, subnet netip.Prefix) (*Pool, error) {
	dir := filepath.Join(root, strings.ReplaceAll(subnet.Masked().String(), "/", "_"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, wrap("open pool", subnet.String(), err)
	}
	return &Pool{Subnet: subnet.Masked(), Range: subnet.Masked(), leases: claims{dir}}, nil
}

// Request takes an address for holder: want, or, when that is not valid, the next free one after the
// address handed out last. Going on from the last one leaves a released address alone for as long as
// possible: packets and ARP entries for its old holder are still about.
// ErrPoolExhausted, ErrAddressInUse (naming the holder), ErrInvalid.
func (p *Pool) Request(holder string, want netip.Addr) (netip.Addr, error) {
	if want.IsValid() {
		return want, p.take(holder, want)
	}
	var got netip.Addr
	err := locked(p.leases.dir, func() error {
		last, err := netip.ParseAddr(p.leases.holder(".last"))
		if err == nil {
			last = last.Next()
		}
		if got, err = p.next(holder, last); err != nil {
			return err
		}
		return p.leases.note(".last", got.String())
	})
	return got, err
}

// next walks once round the range, from start or, where that is outside, from the beginning.
func (p *Pool) next(holder string, start netip.Addr) (netip.Addr, error) {
	start = p.inRange(start)
	for addr := start; ; {
		if p.usable(addr) {
			err := p.leases.take(addr.String(), holder)
			if !errors.Is(err, fs.ErrExist) {
				return addr, wrap("request address", addr.String(), err)
			}
		}
		if addr = p.inRange(addr.Next()); addr == start {
			return netip.Addr{}, &Error{Op: "request address", Subject: p.Range.String(), Err: ErrPoolExhausted}
		}
	}
}

// inRange is addr, or the range's first where it is outside (or no address at all).
func (p *Pool) inRange(addr netip.Addr) netip.Addr {
	if p.Range.Contains(addr) {
		return addr
	}
	return p.Range.Masked().Addr()
}

func (p *Pool) take(holder string, addr netip.Addr) error {
	if !p.Subnet.Contains(addr) || !p.usable(addr) {
		return &Error{Op: "request address", Subject: addr.String() + " of " + p.Subnet.String(), Err: ErrInvalid}
	}
	err := p.leases.take(addr.String(), holder)
	if errors.Is(err, fs.ErrExist) {
		subject := addr.String() + " (held by " + p.leases.holder(addr.String()) + ")"
		return &Error{Op: "request address", Subject: subject, Err: ErrAddressInUse}
	}
	return wrap("request address", addr.String(), err)
}

// usable leaves out the subnet's own address and, in IPv4, the broadcast address.
func (p *Pool) usable(addr netip.Addr) bool {
	if addr == p.Subnet.Addr() {
		return false
	}
	return addr.Is6() || addr != lastOf(p.Subnet)
}

// lastOf is the address with all host bits set.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// Release gives an address back. One that is not leased is no error.
func (p *Pool) Release(addr netip.Addr) error {
	if !addr.IsValid() {
		return nil
	}
	return wrap("release address", addr.String(), p.leases.release(addr.String()))
}

// Leases lists what is handed out, by address.
func (p *Pool) Leases() ([]Lease, error) {
	names, err := p.leases.names()
	var leases []Lease
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			leases = append(leases, Lease{addr, p.leases.holder(name)})
		}
	}
	slices.SortFunc(leases, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return leases, wrap("list leases", p.Subnet.String(), err)
}

// Remove deletes the pool's folder. ErrInUse while an address is leased.
func (p *Pool) Remove() error {
	names, err := p.leases.names()
	if err != nil || len(names) > 0 {
		return &Error{Op: "remove pool", Subject: p.Subnet.String(), Err: errors.Join(err, ErrInUse)}
	}
	for _, own := range []string{".last", ".lock"} {
		if err := p.leases.release(own); err != nil {
			return wrap("remove pool", p.Subnet.String(), err)
		}
	}
	return wrap("remove pool", p.Subnet.String(), gone(os.Remove(p.leases.dir)))
}
