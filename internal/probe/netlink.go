package probe

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The few netlink bytes that probes need. netlink(7): a message is a header
// of 16 bytes and a body of fixed part and attributes, each padded to 4.
//
//	len 4 | type 2 | flags 2 | seq 4 | pid 4 | fixed part | attr: len 2, type 2, payload | ...

var native = binary.NativeEndian

// padded fills up to a multiple of four.
func padded(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// attr makes one attribute. Its payload is the given parts in a row.
func attr(kind uint16, parts ...[]byte) []byte {
	b := make([]byte, 4)
	for _, p := range parts {
		b = append(b, p...)
	}
	native.PutUint16(b[0:], uint16(len(b)))
	native.PutUint16(b[2:], kind)
	return padded(b)
}

// nest makes an attribute that holds attributes.
func nest(kind uint16, parts ...[]byte) []byte { return attr(kind|unix.NLA_F_NESTED, parts...) }

func text0(s string) []byte { return append([]byte(s), 0) }

func u32(v uint32) []byte { return native.AppendUint32(nil, v) }

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// message makes one message; ask numbers it.
func message(kind uint16, flags uint16, parts ...[]byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN)
	for _, p := range parts {
		b = append(b, p...)
	}
	native.PutUint32(b[0:], uint32(len(b)))
	native.PutUint16(b[4:], kind)
	native.PutUint16(b[6:], flags|unix.NLM_F_REQUEST)
	return padded(b)
}

// A conn is a netlink socket.
type conn struct {
	fd  int
	seq uint32
}

// dial opens a netlink socket of one family (NETLINK_ROUTE, ...).
func dial(family int) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return nil, fmt.Errorf("socket(AF_NETLINK, %d): %w", family, err)
	}
	// With extended acks the kernel adds a sentence to its errno, where it has one.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	return &conn{fd: fd}, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// ask sends messages in one write and reads until the last of them that wanted
// an answer got one. It returns the first error, with the kernel's sentence.
func (c *conn) ask(messages ...[]byte) (said string, err error) {
	var all []byte
	wanted := uint32(0)
	for _, m := range messages {
		c.seq++
		native.PutUint32(m[8:], c.seq)
		if native.Uint16(m[6:])&(unix.NLM_F_ACK|unix.NLM_F_DUMP) != 0 {
			wanted = c.seq
		}
		all = append(all, m...)
	}
	if err := unix.Sendto(c.fd, all, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return "", err
	}
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if err != nil {
			return "", err
		}
		if done, said, err := answer(buf[:n], wanted); done || err != nil {
			return said, err
		}
	}
}

var errShort = errors.New("short netlink message")

// answer looks through one datagram for an error, or for the end of what was
// asked for last.
func answer(b []byte, wanted uint32) (done bool, said string, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		length, kind := int(native.Uint32(b)), native.Uint16(b[4:])
		if length < unix.NLMSG_HDRLEN || length > len(b) {
			return true, "", errShort
		}
		m := b[:length]
		switch kind {
		case unix.NLMSG_DONE:
			done = done || native.Uint32(m[8:]) == wanted
		case unix.NLMSG_ERROR:
			if length < unix.NLMSG_HDRLEN+4 {
				return true, "", errShort
			}
			if e := int32(native.Uint32(m[16:])); e != 0 {
				return true, sentence(m), unix.Errno(-e)
			}
			done = done || native.Uint32(m[8:]) == wanted
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return done, "", nil
}

// sentence finds NLMSGERR_ATTR_MSG, the kernel's own words, behind an error.
func sentence(m []byte) string {
	flags := native.Uint16(m[6:])
	at := unix.NLMSG_HDRLEN + 4 + unix.NLMSG_HDRLEN
	if flags&unix.NLM_F_ACK_TLVS == 0 || len(m) < at {
		return ""
	}
	if flags&unix.NLM_F_CAPPED == 0 { // our own message is quoted whole
		at = unix.NLMSG_HDRLEN + 4 + (int(native.Uint32(m[unix.NLMSG_HDRLEN+4:]))+3)&^3
	}
	for at >= 0 && at+4 <= len(m) {
		length, kind := int(native.Uint16(m[at:])), native.Uint16(m[at+2:])
		if length < 4 || at+length > len(m) {
			break
		}
		if kind == unix.NLMSGERR_ATTR_MSG && length > 5 {
			return string(m[at+4 : at+length-1])
		}
		at += (length + 3) &^ 3
	}
	return ""
}
