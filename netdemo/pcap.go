package netdemo

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A capture file as tcpdump -w writes it (pcap-savefile(5)): 24 bytes that say what follows, then for each
// frame 16 bytes (time, length here, length on the wire) and the frame.
const (
	pcapMagic      = 0xa1b2c3d4 // as the writer's CPU stores it, with microseconds
	pcapMagicNanos = 0xa1b23c4d
	pcapEthernet   = 1 // LINKTYPE_ETHERNET
	pcapSnapLength = 262144
)

// WritePcap writes frames as a capture file, which tcpdump -r and Wireshark read. Which link a frame was on, and
// whether it went in or out, has no place in it.
func WritePcap(w io.Writer, frames []Frame) error {
	head := binary.LittleEndian.AppendUint32(nil, pcapMagic)
	head = binary.LittleEndian.AppendUint16(head, 2) // version 2.4
	head = binary.LittleEndian.AppendUint16(head, 4)
	for _, v := range []uint32{0, 0, pcapSnapLength, pcapEthernet} {
		head = binary.LittleEndian.AppendUint32(head, v)
	}
	for _, f := range frames {
		for _, v := range []uint32{uint32(f.Time.Unix()), uint32(f.Time.Nanosecond() / 1000), uint32(len(f.Data)), uint32(len(f.Data))} {
			head = binary.LittleEndian.AppendUint32(head, v)
		}
		head = append(head, f.Data...)
	}
	_, err := w.Write(head)
	return wrap("write capture file", fmt.Sprintf("of %d frames", len(frames)), err)
}

// ReadPcap reads a capture file of Ethernet frames. A last frame that is not whole, because its writer is still
// at it, is left out.
func ReadPcap(r io.Reader) ([]Frame, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, wrap("read capture file", "", err)
	}
	order, unit, err := pcapForm(b)
	if err != nil {
		return nil, err
	}
	var frames []Frame
	for b = b[24:]; len(b) >= 16; {
		size := uint64(order.Uint32(b[8:]))
		if size > uint64(len(b)-16) {
			break
		}
		at := time.Unix(int64(order.Uint32(b)), int64(order.Uint32(b[4:]))*unit)
		frames = append(frames, Frame{Time: at, Data: b[16 : 16+size : 16+size]})
		b = b[16+size:]
	}
	return frames, nil
}

// pcapForm tells the byte order and the unit of the times, both from the magic number.
func pcapForm(b []byte) (order binary.ByteOrder, unit int64, err error) {
	bad := func(why string) error {
		return &Error{Op: "read capture file", Subject: why, Err: ErrInvalid}
	}
	if len(b) < 24 {
		return nil, 0, bad("shorter than its header")
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		magic := order.Uint32(b)
		if magic != pcapMagic && magic != pcapMagicNanos {
			continue
		}
		if link := order.Uint32(b[20:]) & 0xffff; link != pcapEthernet {
			return nil, 0, bad(fmt.Sprintf("link type %d, want Ethernet (capture on one link, not on \"any\")", link))
		}
		if magic == pcapMagicNanos {
			return order, 1, nil
		}
		return order, int64(time.Microsecond), nil
	}
	return nil, 0, bad("no pcap magic number")
}
